"""Mentions, unread words and read marks, as several devices on several processes see them."""

from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from seda_contracts.events.user import BlockChanged, UserState
from seda_runtime.clock import utc_now
from seda_testkit.eventually import eventually
from sqlalchemy import text

if TYPE_CHECKING:
    from conftest import Chat, Person


async def named(chat: "Chat") -> tuple["Person", str]:
    """Somebody whose handle chat has been told of."""
    person = chat.person()
    handle = f"p{person.id.hex[:12]}"
    state = UserState(
        user_id=person.id, handle=handle, display_name=handle, avatar_url=None, version=1
    )
    await chat.publish(state)

    async def is_known() -> bool:
        async with chat.db.read() as tx:
            query = text("SELECT count(*) FROM chat.person WHERE user_id = :id")
            return bool(await tx.scalar(query, {"id": person.id}))

    await eventually(is_known)
    return person, handle


async def unread(person: "Person", room: UUID) -> dict[str, Any]:
    items = (await person.ok("GET", "/chat/unread"))["items"]
    return next(item for item in items if item["room_id"] == str(room))


async def counts(person: "Person", room: UUID) -> tuple[int, int]:
    item = await unread(person, room)
    return item["unread"], item["mentions"]


async def block(
    chat: "Chat", person: "Person", blocked: "Person", *, is_blocked: bool = True, version: int = 1
) -> None:
    """As user-artist says it; returns when it has arrived."""
    await chat.publish(
        BlockChanged(
            user_id=person.id,
            blocked_id=blocked.id,
            is_blocked=is_blocked,
            version=version,
            changed_at=utc_now(),
        )
    )

    async def is_known() -> bool:
        async with chat.db.read() as tx:
            query = text("SELECT version FROM chat.block WHERE user_id = :id")
            return bool((await tx.scalar(query, {"id": person.id}) or 0) >= version)

    await eventually(is_known)


async def test_a_mention_is_shown_to_all_and_counted_for_whom_it_names(chat: "Chat") -> None:
    ann = chat.person()
    ben, handle = await named(chat)
    room = await ann.room(ben)
    async with ann.socket(room) as anns:
        posted = await ann.post(room, f"hello @{handle.upper()}")
        told = await anns.until(op="ev", t="message.created")
        assert told["d"]["mentions"] == [str(ben.id)]
    (shown,) = (await ann.ok("GET", f"/chat/rooms/{room}/messages"))["items"]
    assert shown["mentions"] == [str(ben.id)]
    assert await counts(ben, room) == (1, 1)
    assert (await unread(ben, room))["first_unread_seq"] == posted["seq"]
    assert await counts(ann, room) == (0, 0)


async def test_an_edit_names_others_and_a_deletion_nobody(chat: "Chat") -> None:
    ann = chat.person()
    (ben, bens), (cat, cats) = await named(chat), await named(chat)
    room = await ann.room(ben, cat)
    path = f"/chat/rooms/{room}/messages/{(await ann.post(room, f'@{bens}'))['id']}"
    async with ann.socket(room) as anns:
        await ann.ok("PATCH", path, json={"text": f"no, @{cats}"})
        told = await anns.until(op="ev", t="message.edited")
        assert told["d"]["mentions"] == [str(cat.id)]
    assert (await counts(ben, room), await counts(cat, room)) == ((1, 0), (1, 1))
    await ann.ok("DELETE", path)
    assert (await counts(ben, room), await counts(cat, room)) == ((0, 0), (0, 0))


async def test_nobody_is_named_who_is_not_in_the_room_or_has_blocked_the_author(
    chat: "Chat",
) -> None:
    ann = chat.person()
    (ben, bens), (eve, eves), (own, owns) = [await named(chat) for _ in range(3)]
    room = await own.room(ann, ben, is_private=True)
    await block(chat, ben, ann)
    posted = await ann.post(room, f"@{eves} @{bens} @{owns} @nobody-at-all")
    (shown,) = (await ann.ok("GET", f"/chat/rooms/{room}/messages"))["items"]
    assert (shown["id"], shown["mentions"]) == (posted["id"], [str(own.id)])
    assert (await eve.ok("GET", "/chat/unread"))["items"] == []
    # What a blocked person says is nothing one has to read.
    assert await counts(ben, room) == (0, 0)


async def test_a_block_that_is_taken_back_counts_again_and_an_older_word_changes_nothing(
    chat: "Chat",
) -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    await block(chat, ben, ann, version=1)
    await ann.post(room)
    assert await counts(ben, room) == (0, 0)
    await block(chat, ben, ann, is_blocked=False, version=2)
    assert await counts(ben, room) == (1, 0)
    await block(chat, ben, ann, version=1)
    assert await counts(ben, room) == (1, 0)


async def test_devices_on_two_processes_see_one_mark(chat: "Chat", other_chat: "Chat") -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    async with ben.socket() as phone, ben.socket(room, via=other_chat) as desk:
        sent = [await ann.post(room, str(number)) for number in range(3)]
        assert await desk.ask("read.mark", room, seq=sent[1]["seq"]) == {"seq": sent[1]["seq"]}
        for device in (phone, desk):
            state = await device.until(op="st", t="unread", room=str(room))
            assert state["d"] == {
                "read_seq": sent[1]["seq"],
                "unread": 1,
                "mentions": 0,
                "first_unread_seq": sent[2]["seq"],
            }
        await ben.ok("PUT", f"/chat/rooms/{room}/read", json={"seq": 2**53})
        state = await phone.until(op="st", t="unread", room=str(room))
        assert (state["d"]["read_seq"], state["d"]["unread"]) == (sent[2]["seq"], 0)


async def test_a_mention_reaches_a_device_that_listens_to_nothing(
    chat: "Chat", other_chat: "Chat"
) -> None:
    ann = chat.person()
    ben, handle = await named(chat)
    room = await ann.room(ben)
    async with ben.socket(via=other_chat) as phone:
        await ann.post(room, f"@{handle}")
        state = await phone.until(op="st", t="unread", room=str(room))
        assert (state["d"]["unread"], state["d"]["mentions"]) == (1, 1)


async def test_a_mark_never_goes_back_nor_past_the_room(chat: "Chat") -> None:
    ann = chat.person()
    room = await ann.room()
    head = (await ann.post(room))["seq"]
    for seq in (head + 10, 1):
        mark = await ann.ok("PUT", f"/chat/rooms/{room}/read", json={"seq": seq})
        assert mark == {"seq": head}
    for wrong in (-1, 2**53 + 1, "far", None):
        answer = await ann.ask("PUT", f"/chat/rooms/{room}/read", json={"seq": wrong})
        assert answer.status_code == 400


async def test_strangers_mark_nothing_and_learn_nothing(chat: "Chat") -> None:
    ann, eve = chat.person(), chat.person()
    private, public = await ann.room(is_private=True), await ann.room()
    for room, status in ((private, 404), (uuid4(), 404), (public, 403)):
        answer = await eve.ask("PUT", f"/chat/rooms/{room}/read", json={"seq": 1})
        assert answer.status_code == status


async def test_counting_stops_at_a_hundred(chat: "Chat") -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    async with chat.db.begin() as tx:
        await tx.execute(
            text(
                "INSERT INTO chat.message (id, room_id, seq, author_id, text, cid, body_sha256,"
                " created_at) SELECT gen_random_uuid(), :room, 1000 + n, :author, 'x', n::text,"
                " '', :now FROM generate_series(1, 150) AS n"
            ),
            {"room": room, "author": ann.id, "now": utc_now()},
        )
    assert (await unread(ben, room))["unread"] == 100


async def test_members_are_found_by_how_their_handle_begins(chat: "Chat") -> None:
    ann = chat.person()
    ben, handle = await named(chat)
    room = await ann.room(ben)
    path = f"/chat/rooms/{room}/members"
    for prefix, found in ((handle[:5].upper(), 1), (handle + "x", 0), ("_", 0)):
        items = (await ann.ok("GET", f"{path}?prefix={prefix}"))["items"]
        assert len(items) == found, prefix
    assert (await ann.ask("GET", f"{path}?prefix=%25")).status_code == 400
