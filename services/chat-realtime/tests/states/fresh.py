"""A room as HTTP tells it, to be held against what a client knows of it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from seda_client import RoomState
from seda_client.room_state import moment

if TYPE_CHECKING:
    from conftest import Person

PAGE_MESSAGES = 3
_OF_OTHERS = {"author", "pinned", "pinned_at", "replies"}
"""What is told of a message elsewhere too."""


@dataclass(kw_only=True)
class Fresh:
    """A room as HTTP tells it at this moment."""

    room: Any
    membership: Any
    members: list[Any]
    pins: list[Any]
    history: list[Any]
    threads: dict[str, list[Any]]
    """Those that history does not show whole."""


async def read_anew(person: "Person", room: UUID) -> Fresh | None:
    """None for who is not in the room."""
    answer = await person.ask("GET", f"/chat/rooms/{room}")
    found = answer.json()
    if not answer.is_success or found["membership"] is None:
        return None
    paths = ("/members?limit=100", "/pins", "/messages?limit=100")
    members, pins, history = [
        (await person.ok("GET", f"/chat/rooms/{room}{path}"))["items"] for path in paths
    ]
    threads = {
        root["id"]: (
            await person.ok("GET", f"/chat/rooms/{room}/messages/{root['id']}/replies?limit=100")
        )["items"]
        for root in history
        if root["reply_count"] > len(root["replies"])
    }
    return Fresh(
        room=found,
        membership=found.pop("membership"),
        members=members,
        pins=pins,
        history=history,
        threads=threads,
    )


def assert_same(state: RoomState, fresh: Fresh) -> None:
    """As far back as the state goes."""
    assert plain(state.room()) == plain(fresh.room)
    assert plain(state.membership()) == plain(fresh.membership)
    assert plain(state.members()) == plain(fresh.members)
    assert state.pins() == [item["id"] for item in fresh.pins]
    for item in fresh.pins:
        if (known := state.message(item["id"])) is not None:
            assert plain(known) == plain(item)
    history = state.history()
    assert len(history) >= min(PAGE_MESSAGES, len(fresh.history))
    assert plain(history) == plain(fresh.history[: len(history)])
    for root in history:
        replies = state.thread(root["id"])
        if root["id"] in fresh.threads and len(replies) == root["reply_count"]:
            assert plain(replies) == plain(fresh.threads[root["id"]])


def is_same(state: RoomState, fresh: Fresh) -> bool:
    try:
        assert_same(state, fresh)
    except AssertionError:
        return False
    return True


def still_shows(state: RoomState, page: Any) -> bool:
    """What the page says of messages themselves."""
    told = {each["id"]: each for root in page["items"] for each in (root, *root["replies"])}
    return all(
        _itself(each) == _itself(told.get(each["id"], each))
        for root in state.history()
        for each in (root, *state.thread(root["id"]))
    )


def _itself(item: Any) -> Any:
    return plain({name: value for name, value in item.items() if name not in _OF_OTHERS})


def plain(told: Any) -> Any:
    """Times as times: PostgreSQL and Python write them in two ways."""
    if isinstance(told, dict):
        return {
            name: moment(value)
            if isinstance(value, str) and name.endswith(("_at", "_until"))
            else plain(value)
            for name, value in told.items()
        }
    return [plain(each) for each in told] if isinstance(told, list) else told
