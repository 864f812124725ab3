"""A bot's key on the socket and over HTTP: its scopes hold on both."""

from typing import TYPE_CHECKING, Any

from chat_realtime.live.commands import PERMISSIONS
from seda_contracts import realtime
from seda_contracts.events.auth import AccountSuspended
from seda_runtime.clock import utc_now
from seda_testkit.caller import Caller

if TYPE_CHECKING:
    from ..conftest import Chat


async def test_a_key_that_only_reads_hears_the_room_and_changes_nothing(
    chat: "Chat", knock: Any
) -> None:
    ann, bot = chat.person(), chat.person()
    room = await ann.room(bot)
    async with knock(chat) as socket:
        ticket = bot.ticket(scope="message:read realtime:connect")
        await socket.say("hello", ticket=ticket)
        await socket.until(op="ready")
        await socket.ask("room.sub", room)
        refused = await socket.refused("msg.send", room, cid="1", text="no")
        assert (refused["code"], refused["retry"]) == ("forbidden", "never")
        assert (await socket.refused("typing", room))["code"] == "forbidden"
        posted = await ann.post(room, "read this")
        await socket.until(op="ev", seq=posted["seq"])
    who = {"user_id": bot.id, "session_id": bot.session_id, "scope": "message:read"}
    ask = Caller(chat.http, chat.keys, "chat-realtime", **who)
    answer = await ask("POST", f"/chat/rooms/{room}/messages", json={"text": "no"})
    assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")
    assert (await ask("GET", f"/chat/rooms/{room}/messages")).status_code == 200


async def test_a_key_that_may_not_read_resumes_no_room(chat: "Chat", knock: Any) -> None:
    ann, bot = chat.person(), chat.person()
    room = await ann.room(bot)
    async with knock(chat) as socket:
        resume = {"rooms": {str(room): {"ep": "1", "seq": 0}}}
        await socket.say("hello", ticket=bot.ticket(scope="message:write"), resume=resume)
        ready = await socket.until(op="ready")
        assert ready["rooms"][0]["result"] == "gone"


async def test_a_socket_ends_with_its_key(chat: "Chat", knock: Any) -> None:
    bot = chat.person()
    async with knock(chat) as socket:
        until = int(utc_now().timestamp()) + 2
        await socket.say("hello", ticket=bot.ticket(scope="message:read", until=until))
        await socket.until(op="auth.expiring")
        assert await socket.close_code() == 4003


async def test_a_bot_suspended_alone_is_cut_and_its_owner_is_not(chat: "Chat", knock: Any) -> None:
    owner, bot = chat.person(), chat.person()
    scope = "message:read realtime:connect"
    async with knock(chat) as socket, owner.socket() as owners:
        await socket.say("hello", ticket=bot.ticket(scope=scope))
        await socket.until(op="ready")
        suspended = AccountSuspended(
            user_id=bot.id, suspended_by=owner.id, suspended_at=utc_now(), perm_version=1
        )
        await chat.publish(suspended)
        assert await socket.close_code() == 4504
        await owners.say("hb")
        await owners.until(op="hb.ok")
    async with knock(chat) as socket:
        refusal = await socket.refused("hello", ticket=bot.ticket(scope=scope))
        assert (refusal["code"], refusal["retry"]) == ("banned", "never")


def test_every_command_is_either_about_the_socket_or_has_a_permission() -> None:
    about_the_socket = {"hello", "auth.refresh", "room.unsub", "presence.set", "hb"}
    assert set(realtime.BODIES) - set(PERMISSIONS) == about_the_socket
