"""What a client knows of a room, from pages and frames; no server."""

from typing import Any
from uuid import UUID

import pytest
from seda_client import ReadAgain, RoomState

VIEWER, ROOM, BEN = UUID(int=1), UUID(int=2), UUID(int=3)
NOON = "2026-11-20T12:00:00Z"


def ev(seq: int, t: str, **d: Any) -> dict[str, Any]:
    shape = {"op": "ev", "room": str(ROOM), "ep": "1", "acl": 0, "ts": 1_795_176_000_000}
    return {**shape, "seq": seq, "t": t, "d": d}


def created(seq: int, id_: str, text: str = "hello", **more: Any) -> dict[str, Any]:
    author = {"user_id": str(BEN), "handle": "ben"}
    told = {"id": id_, "author_id": str(BEN), "author": author, "type": "TEXT", "text": text}
    return ev(
        seq,
        "message.created",
        **{**told, "parent_id": None, "edit_version": 0, "created_at": NOON, **more},
    )


def edited(seq: int, id_: str, text: str, **more: Any) -> dict[str, Any]:
    told = {"message_id": id_, "text": text, "edit_version": seq, "edited_at": NOON}
    return ev(seq, "message.edited", **told, **more)


def after(*frames: dict[str, Any]) -> RoomState:
    state = RoomState(VIEWER, ROOM)
    for frame in frames:
        state.apply(frame)
    return state


def page_of(state: RoomState, **more: Any) -> dict[str, Any]:
    """As HTTP would tell it at that moment."""
    cursor = state.cursor
    return {"items": state.history(), "ep": cursor.ep, "seq": cursor.seq, **more}


def reacted(seq: int, id_: str, who: UUID, action: str, count: int) -> dict[str, Any]:
    told = {"message_id": id_, "user_id": str(who), "emoji": "🔥", "action": action}
    return ev(seq, "reaction.changed", **told, count=count, first_at=NOON)


def test_events_are_applied_in_turn_and_once() -> None:
    state = after(created(1, "a"))
    state.apply(created(1, "a", "another"))
    assert [item["text"] for item in state.history()] == ["hello"]
    with pytest.raises(ValueError, match="does not follow"):
        state.apply(created(3, "c"))
    with pytest.raises(ValueError, match="does not follow"):
        state.apply({**created(2, "b"), "ep": "2"})


def test_what_it_does_not_know_counts_and_changes_nothing() -> None:
    state = after(created(1, "a"))
    before = state.history()
    for frame in (
        ev(2, "room.painted", colour="blue"),
        edited(3, "never heard of", "x"),
        ev(4, "member.role", user_id=str(BEN), role="owner"),
    ):
        state.apply(frame)
    state.apply({"op": "ep", "room": str(ROOM), "t": "typing", "d": {"user_id": str(BEN)}})
    assert (state.history(), state.cursor.seq) == (before, 4)


def test_a_page_that_arrives_late_is_brought_up_to_date() -> None:
    early = after(created(1, "a"), created(2, "r", parent_id="a"))
    since = [
        edited(3, "a", "better"),
        created(4, "r2", parent_id="a"),
        reacted(5, "a", VIEWER, "added", 1),
    ]
    page = page_of(early)
    for frame in since:
        early.apply(frame)
    late = RoomState(VIEWER, ROOM)
    late.apply(ev(1, "room.updated", name="x"))
    late.apply(ev(2, "room.updated", name="x"))
    for frame in since:
        late.apply(frame)
    late.load_history(page)
    assert late.history() == early.history()


def test_a_page_that_is_ahead_is_not_counted_twice() -> None:
    frames = [
        created(1, "a"),
        created(2, "r", parent_id="a"),
        reacted(3, "a", BEN, "added", 1),
        edited(4, "a", "better"),
    ]
    whole = after(*frames)
    state = after(frames[0])
    state.load_history(page_of(whole))
    assert state.history() == whole.history()
    for frame in frames[1:]:
        state.apply(frame)
        assert state.history() == whole.history()


def test_a_page_from_before_what_is_remembered_has_to_be_read_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("seda_client.room_state.REMEMBERED_EVENTS_MAX", 2)
    state = after(*(created(seq, str(seq)) for seq in range(1, 6)))
    state.load_history({"items": [], "ep": "1", "seq": 3})
    with pytest.raises(ReadAgain):
        state.load_history({"items": [], "ep": "1", "seq": 2})
    with pytest.raises(ReadAgain):
        state.load_history({"items": [], "ep": "2", "seq": 5})


def test_a_tombstone_keeps_its_place_and_nothing_else() -> None:
    state = after(
        created(1, "a", mentions=[str(VIEWER)], links=[{"link_id": "l", "url": "u"}]),
        created(2, "r", parent_id="a"),
        reacted(3, "a", BEN, "added", 1),
        ev(4, "message.pinned", message_id="a", by=str(BEN)),
        ev(5, "message.deleted", message_id="a", deleted_by=str(BEN), deleted_at=NOON),
    )
    (tombstone,) = state.history()
    emptied = ("text", "mentions", "links", "cards", "reactions", "pinned_at")
    assert [tombstone[name] for name in emptied] == ["", [], [], [], [], None]
    assert (tombstone["deleted_at"], tombstone["reply_count"]) == (NOON, 1)
    assert state.pins() == []


def test_a_reaction_is_mine_only_when_i_made_it() -> None:
    state = after(created(1, "a"), reacted(2, "a", BEN, "added", 1))
    assert [each["mine"] for each in state.history()[0]["reactions"]] == [False]
    state.apply(reacted(3, "a", VIEWER, "added", 2))
    state.apply(reacted(4, "a", BEN, "removed", 1))
    assert [(r["count"], r["mine"]) for r in state.history()[0]["reactions"]] == [(1, True)]
    state.apply(reacted(5, "a", VIEWER, "removed", 0))
    assert state.history()[0]["reactions"] == []


def test_cards_stand_in_the_order_of_the_links_and_the_newest_stays() -> None:
    def attached(seq: int, link: str, version: int) -> dict[str, Any]:
        card = {"title": f"{link}{version}"}
        told = {"message_id": "a", "link_id": link, "url": link}
        return ev(seq, "card.attached", **told, card_version=version, card=card)

    links = [{"link_id": link, "url": link} for link in ("x", "y")]
    state = after(created(1, "a", links=links), attached(2, "y", 2), attached(3, "x", 1))
    state.apply(attached(4, "y", 1))
    assert [card["card"]["title"] for card in state.history()[0]["cards"]] == ["x1", "y2"]


def test_a_changed_name_is_shown_on_everything_the_person_said() -> None:
    state = after(created(1, "a"))

    def told(handle: str, rev: int) -> dict[str, Any]:
        card = {"user_id": str(BEN), "handle": handle}
        return {"op": "st", "room": str(ROOM), "t": "author", "rev": rev, "d": card}

    state.apply(told("benjamin", 3))
    state.apply(told("benny", 2))
    assert state.history()[0]["author"]["handle"] == "benjamin"


def test_the_read_mark_moves_forward_only() -> None:
    state = after(
        ev(1, "member.joined", user_id=str(VIEWER), role="member", author={}, joined_at=NOON)
    )
    counts = {"unread": 0, "mentions": 0, "first_unread_seq": None}
    for read_seq, rev in ((5, 10), (3, 8)):
        told = {"read_seq": read_seq, **counts}
        frame = {"op": "st", "room": str(ROOM), "t": "unread", "rev": rev, "d": told}
        state.apply(frame)
    membership = state.membership()
    assert membership is not None
    assert membership["read_seq"] == 5
