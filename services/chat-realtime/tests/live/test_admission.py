"""Who may open a socket, for how long, and how it ends."""

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from chat_realtime.live import store
from seda_contracts.events.auth import RoleChanged, SessionRevoked
from seda_runtime.clock import utc_now
from seda_testkit.eventually import eventually
from websockets.exceptions import InvalidStatus

if TYPE_CHECKING:
    from conftest import Chat


def role_changed(user_id: UUID, *, perm_version: int) -> RoleChanged:
    return RoleChanged(
        user_id=user_id,
        role="USER",
        changed_by=uuid4(),
        changed_at=utc_now(),
        perm_version=perm_version,
    )


async def test_attack_097_a_ticket_opens_one_socket(chat: "Chat", knock: Any) -> None:
    ann = chat.person()
    ticket = ann.ticket()
    async with knock(chat) as first, knock(chat) as second:
        await first.say("hello", ticket=ticket)
        await first.until(op="ready")
        refusal = await second.refused("hello", ticket=ticket)
        assert (refusal["code"], refusal["retry"]) == ("unauthenticated", "after_refresh")
        assert await second.close_code() == 4003


async def test_attack_097_a_ticket_is_used_up_on_every_process(
    chat: "Chat", other_chat: "Chat", knock: Any
) -> None:
    ann = chat.person()
    ticket = ann.ticket()
    async with knock(chat) as first, knock(other_chat) as second:
        await first.say("hello", ticket=ticket)
        await first.until(op="ready")
        assert (await second.refused("hello", ticket=ticket))["code"] == "unauthenticated"


async def test_attack_097_credentials_that_are_none_are_refused(chat: "Chat", knock: Any) -> None:
    ann = chat.person()
    keys = chat.keys
    past = int(time.time()) - 120
    for hello, code in (
        ({"ticket": ann.ticket(exp=past)}, "token_expired"),
        ({"token": keys.access_token(ann.id, exp=past)}, "token_expired"),
        ({"ticket": keys.access_token(ann.id)}, "unauthenticated"),
        ({"token": ann.ticket()}, "unauthenticated"),
        ({"ticket": keys.identity("chat-realtime", "GET", "/", user_id=ann.id)}, "unauthenticated"),
        ({"ticket": ann.ticket(aud="seda-api")}, "unauthenticated"),
        ({"ticket": ann.ticket(iss="somebody")}, "unauthenticated"),
        ({"ticket": ann.ticket(sub="not-an-id")}, "unauthenticated"),
        ({"ticket": "x" * 9000}, "unauthenticated"),
        ({"ticket": ""}, "unauthenticated"),
    ):
        async with knock(chat) as socket:
            assert (await socket.refused("hello", **hello))["code"] == code, hello
            assert await socket.close_code() == 4003


async def test_attack_100_a_token_opens_a_socket_until_it_ends(chat: "Chat", knock: Any) -> None:
    ann = chat.person()
    leeway_seconds = 30
    token = chat.keys.access_token(ann.id, exp=int(time.time()) - leeway_seconds + 3)
    async with knock(chat) as socket:
        await socket.say("hello", token=token)
        await socket.until(op="ready")
        assert await socket.close_code() == 4003


async def test_a_newer_token_keeps_the_socket_open(chat: "Chat", knock: Any) -> None:
    ann, ben = chat.person(), chat.person()
    async with knock(chat) as socket:
        await socket.say("hello", token=chat.keys.access_token(ann.id, exp=int(time.time()) + 30))
        ready = await socket.until(op="ready")
        await socket.until(op="auth.expiring")
        foreign = chat.keys.access_token(ben.id)
        assert (await socket.refused("auth.refresh", token=foreign))["code"] == "unauthenticated"
        renewed = await socket.ask("auth.refresh", token=chat.keys.access_token(ann.id))
        assert renewed["exp"] > ready["exp"]


async def test_a_revoked_session_is_closed_on_every_process_and_stays_out(
    chat: "Chat", other_chat: "Chat", knock: Any
) -> None:
    ann = chat.person()
    unused = ann.ticket()
    async with ann.socket() as here, ann.socket(via=other_chat) as there:
        await chat.publish(
            SessionRevoked(
                user_id=ann.id, session_id=ann.session_id, reason="logout", revoked_at=utc_now()
            )
        )
        assert await here.close_code() == await there.close_code() == 4501
    async with knock(chat) as socket:
        refusal = await socket.refused("hello", ticket=unused)
        assert (refusal["code"], refusal["retry"]) == ("unauthenticated", "never")
        assert await socket.close_code() == 4501


async def test_a_changed_role_closes_the_sockets_of_the_old_one_everywhere(
    chat: "Chat", other_chat: "Chat", knock: Any
) -> None:
    ann, ben = chat.person(role="ADMIN"), chat.person()
    unused = (("ticket", ann.ticket()), ("token", chat.keys.access_token(ann.id, role="ADMIN")))
    async with ann.socket() as here, ann.socket(via=other_chat) as there, ben.socket() as bens:
        await chat.publish(role_changed(ann.id, perm_version=1))
        assert await here.close_code() == await there.close_code() == 4003
        await bens.say("hb")
        await bens.until(op="hb.ok")
    for name, credential in unused:
        async with knock(chat) as socket:
            refusal = await socket.refused("hello", **{name: credential})
            assert (refusal["code"], refusal["retry"]) == ("unauthenticated", "after_refresh")
            assert await socket.close_code() == 4003
    async with knock(chat) as socket:
        await socket.say("hello", ticket=chat.keys.socket_ticket(ann.id, perm_v=1))
        await socket.until(op="ready")


async def test_a_role_change_told_late_leaves_the_newer_socket_alone(
    chat: "Chat", knock: Any
) -> None:
    ann = chat.person()
    async with knock(chat) as socket:
        await socket.say("hello", ticket=chat.keys.socket_ticket(ann.id, perm_v=2))
        await socket.until(op="ready")
        async with chat.db.begin() as tx:
            for version in (2, 1):
                await store.put_role_change(tx, ann.id, perm_version=version, now=utc_now())
            assert await store.perm_versions(tx, [ann.id]) == {ann.id: 2}
        await chat.live.sweep()
        await socket.say("hb")
        await socket.until(op="hb.ok")
        renewed = chat.keys.access_token(ann.id, perm_v=1)
        assert (await socket.refused("auth.refresh", token=renewed))["code"] == "unauthenticated"


async def test_a_lost_signal_about_a_role_is_mended_by_the_sweep(chat: "Chat") -> None:
    ann = chat.person(role="ADMIN")
    async with ann.socket() as anns:
        async with chat.db.begin() as tx:
            await store.put_role_change(tx, ann.id, perm_version=1, now=utc_now())
        await chat.live.sweep()
        assert await anns.close_code() == 4003


async def test_another_session_of_the_same_person_stays(chat: "Chat") -> None:
    ann = chat.person()
    async with ann.socket() as anns:
        chat.live.edge.end_session(ann.id, uuid4())
        await anns.say("hb")
        await anns.until(op="hb.ok")


async def test_no_hello_closes_the_socket(chat: "Chat", start_chat: Any, knock: Any) -> None:
    async with start_chat(hello_timeout_seconds=0.1) as quick, knock(quick) as socket:
        welcome = await socket.until(op="welcome")
        assert welcome["limits"]["frame_bytes"] == 16_384
        assert await socket.close_code() == 4001


async def test_a_peer_that_went_without_a_word_is_closed_and_let_go(
    chat: "Chat", start_chat: Any, raw: Any
) -> None:
    async with start_chat(hello_timeout_seconds=0.1) as quick:
        listener = quick.live.listener
        # No library that would answer the close frame: as when the network is gone.
        reader, _writer, _head = await raw(listener)
        frames = await asyncio.wait_for(reader.read(), 5)
        assert frames.endswith(b"\x88\x12" + (4001).to_bytes(2, "big") + b"no hello in time")
        await listener.empty(within_seconds=5)
        assert not listener.connections


async def test_a_silent_client_loses_its_socket(chat: "Chat", start_chat: Any) -> None:
    async with (
        start_chat(heartbeat_seconds=0.5, heartbeat_grace_seconds=0.5) as quick,
        quick.person().socket() as socket,
    ):
        assert await socket.close_code() == 4408


async def test_the_oldest_of_too_many_sockets_is_closed(chat: "Chat", start_chat: Any) -> None:
    async with start_chat(sockets_per_user_max=2) as small:
        ann = small.person()
        async with ann.socket() as oldest, ann.socket() as second, ann.socket() as third:
            assert await oldest.close_code() == 4503
            for socket in (second, third):
                await socket.say("hb")
                await socket.until(op="hb.ok")


async def test_draining_gives_everyone_a_moment_and_a_reason(chat: "Chat", start_chat: Any) -> None:
    async with start_chat(drain_window_seconds=0.2) as leaving:
        contexts = [leaving.person().socket() for _ in range(3)]
        sockets = [await context.__aenter__() for context in contexts]
    delays = [(await socket.until(op="drain"))["in_ms"] for socket in sockets]
    assert sorted(delays) == [0, 66, 133]
    assert [await socket.close_code() for socket in sockets] == [4012, 4012, 4012]
    for context in contexts:
        await context.__aexit__(None, None, None)


async def test_attack_098_frames_that_are_no_commands_end_the_socket(chat: "Chat") -> None:
    ann = chat.person()
    for payload, code in (("{", 4500), ("[" * 10_000, 4500), (b"\x00", 1003), ("x" * 20_000, 1009)):
        async with ann.socket() as socket:
            await socket.connection.send(payload)
            assert await socket.close_code() == code


async def test_a_ticket_shown_twice_at_the_same_moment_lets_one_in(
    chat: "Chat", knock: Any
) -> None:
    ann = chat.person()
    ticket = ann.ticket()
    async with contextlib.AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(knock(chat)) for _ in range(8)]
        await asyncio.gather(*(socket.say("hello", ticket=ticket) for socket in sockets))
        answers = await asyncio.gather(*(socket.until(id=1) for socket in sockets))
    assert sorted(answer.get("op", "refused") for answer in answers) == ["ready", *["refused"] * 7]


async def test_a_hello_that_breaks_its_transaction_breaks_no_others(
    chat: "Chat", knock: Any
) -> None:
    people = [chat.person() for _ in range(6)]
    tickets = [person.ticket() for person in people]
    tickets[3] = people[3].ticket(jti="no\x00text")
    async with contextlib.AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(knock(chat)) for _ in people]
        hellos = zip(sockets, tickets, strict=True)
        await asyncio.gather(*(socket.say("hello", ticket=ticket) for socket, ticket in hellos))
        answers = await asyncio.gather(*(socket.until(id=1) for socket in sockets))
        assert [place for place, answer in enumerate(answers) if "err" in answer] == [3]
        assert await sockets[3].close_code() == 1013


async def test_a_hello_of_another_version_is_closed(chat: "Chat", knock: Any) -> None:
    ann = chat.person()
    async with knock(chat) as socket:
        await socket.say("hello", ticket=ann.ticket(), v=2)
        assert await socket.close_code() == 4502
    async with knock(chat) as socket:
        await socket.say("hello", ticket=ann.ticket(), v=1)
        await socket.until(op="ready")


async def test_who_has_not_said_hello_yet_counts_until_let_in_or_gone(
    chat: "Chat", start_chat: Any, knock: Any
) -> None:
    async with start_chat(hellos_waiting_max=2) as small:
        edge = small.live.edge
        async with small.person().socket(), small.person().socket(), small.person().socket():
            assert not edge.is_busy()
            async with knock(small) as one, knock(small):
                await one.until(op="welcome")
                await eventually(edge.is_busy)
                with pytest.raises(InvalidStatus) as refusal:
                    async with knock(small):
                        pass
                assert refusal.value.response.status_code == 503
                assert refusal.value.response.headers["Retry-After"] == "1"
            await eventually(lambda: not edge.is_busy())


async def test_draining_many_spreads_them_and_ends_the_rest_with_a_restart(
    chat: "Chat", start_chat: Any, knock: Any
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        async with start_chat(drain_window_seconds=0.5) as leaving:
            opening = (stack.enter_async_context(leaving.person().socket()) for _ in range(100))
            sockets = await asyncio.gather(*opening)
            stranger = await stack.enter_async_context(knock(leaving))
            await stranger.until(op="welcome")
        told = [await socket.until(op="drain") for socket in sockets]
        delays = sorted(frame["in_ms"] for frame in told)
        assert delays == [5 * place for place in range(100)]
        assert {await socket.close_code() for socket in sockets} == {4012}
        assert await stranger.close_code() == 1012


async def test_attack_099_the_oldest_of_too_many_sockets_is_closed_on_whichever_process(
    chat: "Chat", start_chat: Any
) -> None:
    async with (
        start_chat(sockets_per_user_max=3) as one,
        start_chat(sockets_per_user_max=3) as two,
        start_chat(sockets_per_user_max=3) as three,
    ):
        ann, ben = one.person(), one.person()
        async with (
            ann.socket() as oldest,
            ann.socket(via=two) as second,
            ben.socket(via=two) as bens,
            ann.socket(via=three) as third,
            ann.socket(via=two) as newest,
        ):
            assert await oldest.close_code() == 4503
            for socket in (second, third, newest, bens):
                await socket.say("hb")
                await socket.until(op="hb.ok")
