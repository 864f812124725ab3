"""Every route of a room, asked by somebody who is not in it: a private room does not exist for them
(threats 52, 56, 57), and no event of it reaches them.
"""

import re
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from litestar.routes import HTTPRoute

if TYPE_CHECKING:
    from conftest import Chat

SEQ_BODY = {"seq": 1}
BODIES: dict[str, Any] = {
    "UpdateRoom": {"name": "mine"},
    "AddMember": {"user_id": str(uuid4())},
    "SetMemberRole": {"role": "moderator"},
    "PostMessage": {"text": "let me in"},
    "EditMessage": {"text": "mine"},
    "TakeModerationAction": {"kind": "kick", "reason": "mine", "user_id": str(uuid4())},
    "DeleteMessages": {"reason": "mine", "message_ids": [str(uuid4())]},
    "CreateInvite": {},
    "ReportMessage": {"category": "other"},
    "ResolveReport": {"state": "dismissed"},
    "MarkRead": SEQ_BODY,
}
QUERIES = {"SearchRoom": {"q": "secret"}}


def room_routes(chat: "Chat") -> list[tuple[str, str, str]]:
    """Method, path and operation of everything below a room."""
    found = []
    for route in chat.app.routes:
        if not isinstance(route, HTTPRoute) or "{room_id" not in route.path_format:
            continue
        for handler in route.route_handlers:
            found += [
                (str(method), route.path_format, str(handler.operation_id))
                for method in handler.http_methods
                if method not in {"OPTIONS", "HEAD"}
            ]
    return found


def filled(path: str, room: UUID, message: str) -> str:
    path = path.removeprefix("/api/v1").replace("{room_id}", str(room))
    path = path.replace("{message_id}", message).replace("{emoji}", "🔥")
    return re.sub(r"{\w+}", str(uuid4()), path)


async def test_attack_057_no_route_of_a_private_room_tells_a_stranger_that_it_exists(
    chat: "Chat",
) -> None:
    ann, eve = chat.person(), chat.person()
    room = await ann.room(is_private=True)
    message = (await ann.post(room, "secret"))["id"]
    routes = room_routes(chat)
    assert len(routes) > 25
    for method, path, operation in routes:
        options = {"json": BODIES.get(operation), "params": QUERIES.get(operation)}
        answers = []
        # Ours and one that never was: to a stranger they are the same.
        for where in (room, uuid4()):
            answer = await eve.ask(method, filled(path, where, message), **options)
            answers.append((answer.status_code, answer.json()["code"], answer.json()["detail"]))
        assert answers[0] == answers[1], operation
        assert answers[0][:2] == (404, "not_found"), operation
    (kept,) = (await ann.ok("GET", f"/chat/rooms/{room}/messages"))["items"]
    assert (kept["text"], kept["reactions"], kept["pinned"]) == ("secret", [], False)


async def test_attack_057_no_command_of_the_socket_tells_a_stranger_that_it_exists(
    chat: "Chat",
) -> None:
    ann, eve = chat.person(), chat.person()
    room = await ann.room(is_private=True)
    message = (await ann.post(room, "secret"))["id"]
    commands: dict[str, dict[str, Any]] = {
        "room.sub": {},
        "msg.send": {"cid": "c", "text": "let me in"},
        "msg.edit": {"message_id": message, "text": "mine"},
        "msg.delete": {"message_id": message},
        "msg.report": {"message_id": message, "category": "other"},
        "react.add": {"message_id": message, "emoji": "🔥"},
        "react.remove": {"message_id": message, "emoji": "🔥"},
        "pin.add": {"message_id": message},
        "pin.remove": {"message_id": message},
        "read.mark": {"seq": 1},
        "mod.kick": {"reason": "mine", "user_id": str(ann.id)},
        "mod.delete": {"reason": "mine", "message_id": message},
        "mod.bulk_delete": {"reason": "mine", "message_ids": [message]},
        "mod.lock": {"reason": "mine"},
    }
    async with ann.socket(room) as anns, eve.socket() as eves:
        for op, body in commands.items():
            refusals = [await eves.refused(op, where, **body) for where in (room, uuid4())]
            assert refusals[0] == refusals[1], op
            assert refusals[0]["code"] == "not_found", op
        assert (await eves.refused("typing", room))["code"] == "not_member"
        await ann.post(room, "still alone")
        await anns.until(op="ev", t="message.created")
        assert [event["t"] for event in anns.events(room)] == ["message.created"]
        assert eves.events(room) == []


async def test_attack_059_a_reply_or_a_reaction_reaches_no_message_of_another_room(
    chat: "Chat",
) -> None:
    ann, eve = chat.person(), chat.person()
    room, own = await ann.room(is_private=True), await eve.room()
    foreign = (await ann.post(room, "secret"))["id"]
    async with eve.socket(own) as eves:
        for op, body in (
            ("msg.send", {"cid": "c", "text": "x", "parent_id": foreign}),
            ("react.add", {"message_id": foreign, "emoji": "🔥"}),
            ("msg.edit", {"message_id": foreign, "text": "x"}),
            ("msg.report", {"message_id": foreign, "category": "other"}),
            ("pin.add", {"message_id": foreign}),
        ):
            assert (await eves.refused(op, own, **body))["code"] == "not_found", op
    (kept,) = (await ann.ok("GET", f"/chat/rooms/{room}/messages"))["items"]
    assert (kept["reply_count"], kept["reactions"]) == (0, [])
