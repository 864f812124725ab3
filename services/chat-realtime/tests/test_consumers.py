"""What other services say, each said twice: the effect is there once, and everybody sees it."""

from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from seda_contracts.events.artist import ArtistState
from seda_contracts.events.auth import BotCreated, SessionRevoked
from seda_contracts.events.unfurl import (
    Artwork,
    LinkUnresolvable,
    TrackCard,
    TrackResolved,
    link_id,
)
from seda_contracts.events.user import UserState
from seda_runtime.clock import utc_now
from seda_testkit.eventually import eventually
from sqlalchemy import text

if TYPE_CHECKING:
    from conftest import Chat, Person


def a_link() -> str:
    return f"https://tunes.example/track/{uuid4().hex}"


def resolved(url: str, *, version: int = 1, title: str = "Song") -> TrackResolved:
    return TrackResolved(
        link_id=link_id(url),
        url=url,
        card=TrackCard(
            track_id=link_id(url),
            provider="example",
            kind="track",
            canonical_url=url,
            status="ok",
            title=title,
            artwork=[Artwork(url="https://tunes.example/a.png")],
        ),
        card_version=version,
        resolved_at=utc_now(),
    )


async def cards(person: "Person", room: UUID) -> list[Any]:
    page = await person.ok("GET", f"/chat/rooms/{room}/messages")
    return [message["cards"] for message in page["items"]]


async def outbox(chat: "Chat", type_: str, key: str = "") -> int:
    async with chat.db.read() as tx:
        query = text("SELECT count(*) FROM chat.outbox WHERE subject LIKE :pattern")
        return int(await tx.scalar(query, {"pattern": f"%.{type_}.{key}%"}) or 0)


async def test_a_card_reaches_all_messages_with_its_link_once(chat: "Chat") -> None:
    ann, ben, url = chat.person(), chat.person(), a_link()
    first, second = await ann.room(ben), await ben.room(ann)
    messages = [
        await ann.post(first, f"listen: {url}"),
        await ben.post(first, f"{url} again"),
        await ben.post(second, url),
    ]
    async with ann.socket(first, second) as anns:
        event, event_id = resolved(url), uuid4()
        await chat.publish(event, event_id=event_id)
        await chat.publish(event, event_id=event_id)
        heard = [await anns.until(op="ev", t="card.attached") for _ in range(3)]
        assert {frame["d"]["message_id"] for frame in heard} == {m["id"] for m in messages}
        assert {frame["d"]["card"]["title"] for frame in heard} == {"Song"}
        assert await eventually(lambda: inbox(chat, event_id))
        after = await ann.post(first, "after")
        await anns.until(op="ev", seq=after["seq"])
        assert len([f for f in anns.heard if f.get("t") == "card.attached"]) == 3
    assert await outbox(chat, "chat.card.attached.v1", str(first)) == 2
    assert [len(shown) for shown in await cards(ann, first)] == [0, 1, 1]


async def inbox(chat: "Chat", event_id: UUID) -> bool:
    async with chat.db.read() as tx:
        query = text("SELECT count(*) FROM chat.inbox WHERE event_id = :id")
        return bool(await tx.scalar(query, {"id": event_id}))


async def test_a_known_card_comes_with_the_message_itself(chat: "Chat") -> None:
    ann, url = chat.person(), a_link()
    room = await ann.room()
    await ann.post(room, url)
    await chat.publish(resolved(url))
    await eventually(lambda: has_cards(ann, room, 1))
    before = await outbox(chat, "unfurl.resolve.v1", str(link_id(url)))
    async with ann.socket(room) as anns:
        sent = await anns.ask("msg.send", room, cid="c", text=f"again {url}")
        event = await anns.until(op="ev", seq=sent["seq"])
        assert event["d"]["cards"][0]["card"]["title"] == "Song"
    assert before == 1
    assert await outbox(chat, "unfurl.resolve.v1", str(link_id(url))) == 1


async def has_cards(person: "Person", room: UUID, count: int) -> bool:
    return len((await cards(person, room))[0]) == count


async def test_an_unknown_link_is_asked_for_in_the_sends_own_transaction(chat: "Chat") -> None:
    ann, url = chat.person(), a_link()
    room = await ann.room()
    await ann.post(room, f"{url} and {url}")
    assert await outbox(chat, "unfurl.resolve.v1", str(link_id(url))) == 1
    other = a_link()
    refused = await ann.ask("POST", f"/chat/rooms/{uuid4()}/messages", json={"text": other})
    assert refused.status_code == 404
    assert await outbox(chat, "unfurl.resolve.v1", str(link_id(other))) == 0


async def test_a_newer_card_replaces_an_older_one_and_never_the_reverse(chat: "Chat") -> None:
    ann, url = chat.person(), a_link()
    room = await ann.room()
    await ann.post(room, url)
    async with ann.socket(room) as anns:
        for version, title in ((2, "Better"), (1, "Older"), (3, "Best")):
            await chat.publish(resolved(url, version=version, title=title))
        while (await anns.until(op="ev", t="card.attached"))["d"]["card_version"] != 3:
            pass
        versions = [e["d"]["card_version"] for e in anns.events(room)]
    assert versions == sorted(set(versions))
    assert (await cards(ann, room))[0][0]["card"]["title"] == "Best"


async def test_a_deleted_message_gets_no_card(chat: "Chat") -> None:
    ann, url = chat.person(), a_link()
    room = await ann.room()
    message = await ann.post(room, url)
    kept = await ann.post(room, url)
    await ann.ok("DELETE", f"/chat/rooms/{room}/messages/{message['id']}")
    async with ann.socket(room) as anns:
        await chat.publish(resolved(url))
        attached = await anns.until(op="ev", t="card.attached")
        assert attached["d"]["message_id"] == kept["id"]
    assert [len(shown) for shown in await cards(ann, room)] == [1, 0]


async def test_an_edit_away_from_the_link_takes_the_card_away(chat: "Chat") -> None:
    ann, url = chat.person(), a_link()
    room = await ann.room()
    message = await ann.post(room, url)
    await chat.publish(resolved(url))
    await eventually(lambda: has_cards(ann, room, 1))
    path = f"/chat/rooms/{room}/messages/{message['id']}"
    await ann.ok("PATCH", path, json={"text": "no link any more"})
    assert await cards(ann, room) == [[]]


async def test_a_link_without_a_card_says_so_once(chat: "Chat") -> None:
    ann, url = chat.person(), a_link()
    room = await ann.room()
    message = await ann.post(room, url)
    event = LinkUnresolvable(
        link_id=link_id(url), url=url, reason_code="not_found", retryable=False
    )
    event_id = uuid4()
    async with ann.socket(room) as anns:
        for _ in range(2):
            await chat.publish(event, event_id=event_id)
        told = await anns.until(op="ev", t="card.unresolvable")
        assert told["d"] == {
            "message_id": message["id"],
            "link_id": str(link_id(url)),
            "reason_code": "not_found",
        }
        await chat.publish(resolved(url))
        attached = await anns.until(op="ev", t="card.attached")
        assert attached["seq"] == told["seq"] + 1


def user_state(person: "Person", name: str, version: int) -> UserState:
    return UserState(user_id=person.id, handle=name.lower(), display_name=name, version=version)


async def test_a_changed_name_is_seen_live_and_in_history(chat: "Chat", other_chat: "Chat") -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    await ann.post(room, "who am I?")
    async with ben.socket(room) as here, ben.socket(room, via=other_chat) as there:
        for _ in range(2):
            await chat.publish(user_state(ann, "Ann", 1))
        for socket in (here, there):
            state = await socket.until(op="st", t="author", room=str(room))
            assert (state["rev"], state["d"]["display_name"]) == (1, "Ann")
    (message,) = (await ben.ok("GET", f"/chat/rooms/{room}/messages"))["items"]
    assert message["author"]["handle"] == "ann"


async def test_a_bot_is_seen_to_be_one_wherever_it_speaks(chat: "Chat") -> None:
    ann, bot = chat.person(), chat.person()
    room = await ann.room(bot)
    created = BotCreated(
        user_id=bot.id, owner_id=ann.id, created_at=utc_now(), display_name="Robot"
    )
    async with ann.socket(room) as anns:
        await chat.publish(user_state(bot, "Robot", 1))
        for _ in range(2):
            await chat.publish(created)
        state = await anns.until(op="st", t="author", rev=2)
        assert state["d"]["is_bot"]
        for who in (bot, ann):
            said = await who.post(room, "I am what I am.")
            event = await anns.until(op="ev", seq=said["seq"])
            assert event["d"]["author"]["is_bot"] == (who is bot)
    messages = (await ann.ok("GET", f"/chat/rooms/{room}/messages"))["items"]
    assert [message["author"]["is_bot"] for message in messages] == [False, True]
    members = (await ann.ok("GET", f"/chat/rooms/{room}/members"))["items"]
    known = {member["user_id"]: member["person"]["is_bot"] for member in members}
    assert known == {str(ann.id): False, str(bot.id): True}


async def test_an_older_name_never_replaces_a_newer_one(chat: "Chat") -> None:
    ann = chat.person()
    room = await ann.room()
    async with ann.socket(room) as anns:
        for version, name in ((5, "New"), (4, "Old"), (6, "Newest")):
            await chat.publish(user_state(ann, name, version))
        newest = await anns.until(op="st", t="author", rev=6)
        revisions = [frame["rev"] for frame in anns.heard if frame.get("op") == "st"]
    assert newest["d"]["display_name"] == "Newest"
    assert revisions == sorted(revisions)
    (member,) = (await ann.ok("GET", f"/chat/rooms/{room}/members"))["items"]
    assert member["person"]["display_name"] == "Newest"


async def test_the_badge_appears_live(chat: "Chat") -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    await chat.publish(user_state(ann, "Ann", 3))
    artist = {"artist_id": uuid4(), "user_id": ann.id, "artist_name": "The Anns"}
    async with ben.socket(room) as bens:
        await chat.publish(ArtistState(**artist, verified=False, version=1))
        plain = await bens.until(op="st", t="author", rev=4)
        assert plain["d"]["artist"]["verified"] is False
        await chat.publish(ArtistState(**artist, verified=True, version=2))
        badge = await bens.until(op="st", t="author", rev=5)
        assert badge["d"]["artist"] == {
            "artist_id": str(artist["artist_id"]),
            "artist_name": "The Anns",
            "verified": True,
        }


async def test_people_outside_the_room_are_not_told_of_its_members(chat: "Chat") -> None:
    ann, ben = chat.person(), chat.person()
    room = await ben.room()
    async with ben.socket(room) as bens:
        await chat.publish(user_state(ann, "Ann", 1))
        await chat.publish(user_state(ben, "Ben", 1))
        state = await bens.until(op="st", t="author")
        assert state["d"]["user_id"] == str(ben.id)


async def test_a_revocation_twice_is_one_revocation(chat: "Chat") -> None:
    ann = chat.person()
    event, event_id = (
        SessionRevoked(
            user_id=ann.id, session_id=ann.session_id, reason="revoked", revoked_at=utc_now()
        ),
        uuid4(),
    )
    async with ann.socket() as anns:
        for _ in range(2):
            await chat.publish(event, event_id=event_id)
        assert await anns.close_code() == 4501


@pytest.mark.parametrize("body", [b"{}", b"not json", b'{"link_id":"x"}'])
async def test_attack_104_a_poisoned_event_goes_to_the_dead_letters_and_holds_up_nobody(
    chat: "Chat", body: bytes
) -> None:
    ann, url = chat.person(), a_link()
    room = await ann.room()
    await ann.post(room, url)
    good = resolved(url)
    headers = {
        "ce-specversion": "1.0",
        "ce-id": str(uuid4()),
        "ce-type": good.TYPE,
        "ce-source": "/seda/test",
        "ce-time": "2026-01-01T00:00:00Z",
    }
    async with ann.socket(room) as anns:
        await chat.bus.publish(good.subject(), body, headers)
        await chat.publish(good)
        await anns.until(op="ev", t="card.attached")
