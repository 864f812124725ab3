"""Reports: said once, seen by those who moderate, and not undone by taking the words back."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from chat_realtime.reports import operations, store
from seda_runtime.clock import utc_now

if TYPE_CHECKING:
    from conftest import Chat, Person


async def report(person: "Person", room: UUID, message_id: str, **more: Any) -> Any:
    path = f"/chat/rooms/{room}/messages/{message_id}/report"
    return await person.ask("POST", path, json={"category": "spam", **more})


async def queue(moderator: "Person", room: UUID, state: str = "open") -> list[Any]:
    path = f"/chat/rooms/{room}/reports?state={state}"
    return list((await moderator.ok("GET", path))["items"])


async def test_a_report_keeps_the_words_and_is_made_once(chat: "Chat") -> None:
    ann, ben, cat = chat.person(), chat.person(), chat.person()
    room = await ann.room(ben, cat)
    message = await ben.post(room, "buy now")
    first = (await report(cat, room, message["id"], comment="third time")).json()["id"]
    async with cat.socket(room) as cats:
        again = await cats.ask("msg.report", room, message_id=message["id"], category="hate")
    assert again == {"report": first}
    await ben.ok("DELETE", f"/chat/rooms/{room}/messages/{message['id']}")
    (seen,) = await queue(ann, room)
    assert (seen["words"], seen["category"], seen["comment"]) == ("buy now", "spam", "third time")
    assert (seen["author_id"], seen["reporter_id"]) == (str(ben.id), str(cat.id))


async def test_a_report_is_dealt_with_once_and_says_by_what(chat: "Chat") -> None:
    ann, ben, cat = chat.person(), chat.person(), chat.person()
    room = await ann.room(ben, cat)
    message = await ben.post(room)
    number = (await report(cat, room, message["id"])).json()["id"]
    kick = {"kind": "kick", "reason": "spam", "user_id": str(ben.id)}
    action = (await ann.ok("POST", f"/chat/rooms/{room}/moderation", json=kick))["id"]
    path = f"/chat/rooms/{room}/reports/{number}/resolve"
    done = await ann.ok("POST", path, json={"state": "acted", "action_id": action})
    assert (done["state"], done["action_id"], done["resolved_by"]) == ("acted", action, str(ann.id))
    answer = await ann.ask("POST", path, json={"state": "dismissed"})
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert (await queue(ann, room), len(await queue(ann, room, "acted"))) == ([], 1)


async def test_the_queue_is_for_those_who_moderate(chat: "Chat") -> None:
    admin = chat.person("ADMIN")
    ann, ben, eve = chat.person(), chat.person(), chat.person()
    room = await ann.room(ben, is_private=True)
    message = await ann.post(room)
    number = (await report(ben, room, message["id"])).json()["id"]
    for person, status in ((ben, 403), (eve, 404)):
        answer = await person.ask("GET", f"/chat/rooms/{room}/reports")
        assert answer.status_code == status
        path = f"/chat/rooms/{room}/reports/{number}/resolve"
        assert (await person.ask("POST", path, json={"state": "acted"})).status_code == status
    everywhere = (await admin.ok("GET", "/admin/moderation/reports?limit=100"))["items"]
    assert number in {each["id"] for each in everywhere}
    assert (await ann.ask("GET", "/admin/moderation/reports")).status_code == 403


async def test_only_what_one_may_read_can_be_reported(chat: "Chat") -> None:
    ann, eve = chat.person(), chat.person()
    room, other = await ann.room(is_private=True), await eve.room()
    message = await ann.post(room)
    assert (await report(eve, room, message["id"])).status_code == 404
    assert (await report(eve, other, message["id"])).status_code == 404
    assert (await report(eve, other, str(uuid4()))).status_code == 404
    own = await report(ann, room, message["id"])
    assert (own.status_code, own.json()["code"]) == (422, "cannot_report_self")
    assert (await report(ann, room, message["id"], category="taste")).status_code == 400


async def test_nobody_drowns_the_moderators(chat: "Chat", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "REPORTS_PER_HOUR_MAX", 1)
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    one, two = await ann.post(room), await ann.post(room)
    assert (await report(ben, room, one["id"])).status_code == 201
    answer = await report(ben, room, two["id"])
    assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
    assert answer.headers["Retry-After"] == "3600"


async def test_the_words_are_forgotten_after_a_month(chat: "Chat") -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    await report(ben, room, (await ann.post(room, "words"))["id"])
    for days, words in ((29, "words"), (31, "")):
        async with chat.db.begin() as tx:
            await store.forget_words(tx, now=utc_now() + timedelta(days=days))
        assert [each["words"] for each in await queue(ann, room)] == [words]
