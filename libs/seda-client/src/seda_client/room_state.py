"""What a client knows of one room: read over HTTP, then changed by what it is told. Pure.

Read the room first, then its members, pins and newest messages; follow it from `cursor`; give every
frame to `apply`. What is here is then what reading all of it anew would give, however often the
connection broke. Pages may be read at any time and loaded late: what happened since they were read
is remembered and happens to them again. Only a message counts (its replies), so each knows as of
which event it is; whatever else an event says is absolute and may be said twice.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from seda_contracts.realtime import Cursor

REMEMBERED_EVENTS_MAX = 500
REPLIES_SHOWN_MAX = 3
"""As many as history shows with the message they answer."""

Item = dict[str, Any]
_THREAD = ("reply_count", "last_reply_at", "replies")
_MEMBER = ("user_id", "role", "joined_at", "muted_until")


class ReadAgain(Exception):
    """The page is of another log, or older than what is remembered of the events since."""


@dataclass(slots=True)
class _Thread:
    """What hangs on a message that is shown in the room itself."""

    reply_count: int
    last_reply_at: str | None
    as_of: int


@dataclass(slots=True)
class _Message:
    item: Item
    as_of: int
    thread: _Thread | None = None
    """None for replies, and for what is known only because it is pinned."""


class RoomState:
    """As one person sees the room. Times stay text, as they were told."""

    def __init__(self, viewer_id: UUID, room_id: UUID, *, ep: str = "1") -> None:
        """An empty room before its first event. Who has read it uses `of`."""
        self.cursor = Cursor(ep, 0)
        """The last event that is in here. What was loaded may be of later."""
        self.unread: Item | None = None
        self._viewer = str(viewer_id)
        self._room: Item = {
            "id": str(room_id),
            "archived": False,
            "locked": False,
            "slow_mode_seconds": 0,
        }
        self._read_seq = 0
        self._unread_rev = -1
        self._people: dict[str, Any] = {}
        self._people_revs: dict[str, int] = {}
        self._members: dict[str, Item] = {}
        self._messages: dict[str, _Message] = {}
        self._pins: dict[str, str] = {}
        self._remembered: deque[Mapping[str, Any]] = deque(maxlen=REMEMBERED_EVENTS_MAX)

    @classmethod
    def of(cls, viewer_id: UUID, room: Mapping[str, Any]) -> "RoomState":
        """From what GetRoom says to a member."""
        state = cls(viewer_id, UUID(room["id"]), ep=room["ep"])
        fields = dict(room)
        state.cursor = Cursor(fields.pop("ep"), fields.pop("last_seq"))
        membership = dict(fields.pop("membership"))
        state._read_seq = membership.pop("read_seq")
        state._members[state._viewer] = {"user_id": state._viewer, **membership}
        state._room = fields
        return state

    # What was read.

    def load_members(self, page: Mapping[str, Any]) -> None:
        self._check(page)
        for told in page["items"]:
            self._members[told["user_id"]] = {name: told[name] for name in _MEMBER}
            self._people[told["user_id"]] = told["person"]
        self._happen_again(page)

    def load_pins(self, page: Mapping[str, Any]) -> None:
        """All of them."""
        self._check(page)
        self._pins = {item["id"]: item["pinned_at"] for item in page["items"]}
        self._load(page["items"], page["seq"])
        self._happen_again(page)

    def load_history(self, page: Mapping[str, Any]) -> None:
        """The newest page first, then always the next older one."""
        self._check(page)
        for item in page["items"]:
            self._load([item, *item["replies"]], page["seq"])
            message = self._messages[item["id"]]
            if message.thread is None or message.thread.as_of < page["seq"]:
                message.thread = _Thread(item["reply_count"], item["last_reply_at"], page["seq"])
        self._happen_again(page)

    def load_replies(self, page: Mapping[str, Any]) -> None:
        self._check(page)
        self._load(page["items"], page["seq"])
        self._happen_again(page)

    def load_unread(self, told: Mapping[str, Any]) -> None:
        """One room of GetUnread. Read it after every `Connected`: states are not told again."""
        self._count_unread(told, told["last_seq"] + told["read_seq"])

    # What was told.

    def apply(self, frame: Mapping[str, Any]) -> None:
        """A frame of this room. Events in turn; one that is in here already changes nothing."""
        if frame["op"] == "st":
            self._take_state(frame)
        if frame["op"] != "ev" or (
            frame["ep"] == self.cursor.ep and frame["seq"] <= self.cursor.seq
        ):
            return
        if frame["ep"] != self.cursor.ep or frame["seq"] != self.cursor.seq + 1:
            raise ValueError(f"{frame['ep']}:{frame['seq']} does not follow {self.cursor}")
        self.cursor = Cursor(frame["ep"], frame["seq"])
        self._remembered.append(frame)
        self._happen(frame)

    # What is shown.

    def room(self) -> Item:
        return {**self._room, "ep": self.cursor.ep, "last_seq": self.cursor.seq}

    def membership(self) -> Item | None:
        """The viewer's own; None when they are no member any more."""
        mine = self._members.get(self._viewer)
        if mine is None:
            return None
        return {**{name: mine[name] for name in _MEMBER[1:]}, "read_seq": self._read_seq}

    def members(self) -> list[Item]:
        return [
            {**member, "person": self._people.get(user_id)}
            for user_id, member in sorted(self._members.items())
        ]

    def pins(self) -> list[str]:
        """Newest pin first; `message` shows those that were loaded."""
        by_id = sorted(self._pins)
        return sorted(by_id, key=lambda each: moment(self._pins[each]), reverse=True)

    def message(self, message_id: str) -> Item | None:
        known = self._messages.get(message_id)
        return None if known is None else self._show(known)

    def history(self) -> list[Item]:
        """Newest first, as far back as was loaded, each with its oldest replies."""
        threads: dict[str, list[_Message]] = {}
        for message in sorted(self._messages.values(), key=_seq):
            if message.item["parent_id"] is not None:
                threads.setdefault(message.item["parent_id"], []).append(message)
        return [
            {
                **self._show(root),
                "reply_count": root.thread.reply_count,
                "last_reply_at": root.thread.last_reply_at,
                "replies": [
                    self._show(reply)
                    for reply in threads.get(root.item["id"], ())[:REPLIES_SHOWN_MAX]
                ],
            }
            for root in sorted(self._messages.values(), key=_seq, reverse=True)
            if root.thread is not None
        ]

    def thread(self, message_id: str) -> list[Item]:
        """The replies that are known, oldest first. All of them, when they are `reply_count`."""
        replies = [m for m in self._messages.values() if m.item["parent_id"] == message_id]
        return [self._show(reply) for reply in sorted(replies, key=_seq)]

    # Inside.

    def _check(self, page: Mapping[str, Any]) -> None:
        oldest = self._remembered[0]["seq"] if self._remembered else self.cursor.seq + 1
        if page["ep"] != self.cursor.ep or page["seq"] + 1 < oldest:
            raise ReadAgain

    def _happen_again(self, page: Mapping[str, Any]) -> None:
        """What a page was too early to have. Nobody looks in between."""
        for frame in self._remembered:
            if frame["seq"] > page["seq"]:
                self._happen(frame)

    def _load(self, items: Iterable[Item], as_of: int) -> None:
        for told in items:
            known = self._messages.get(told["id"])
            item = {name: value for name, value in told.items() if name not in _THREAD}
            self._people[item["author_id"]] = item.pop("author")
            if known is None:
                self._messages[told["id"]] = _Message(item, as_of)
            elif known.as_of < as_of:
                known.item, known.as_of = item, as_of

    def _show(self, message: _Message) -> Item:
        pinned_at = self._pins.get(message.item["id"])
        return {
            **message.item,
            "author": self._people.get(message.item["author_id"]),
            "pinned": pinned_at is not None,
            "pinned_at": pinned_at,
        }

    def _take_state(self, frame: Mapping[str, Any]) -> None:
        told, rev = frame["d"], frame["rev"]
        if frame["t"] == "unread":
            self._count_unread(told, rev)
        elif frame["t"] == "author" and rev >= self._people_revs.get(told["user_id"], 0):
            self._people_revs[told["user_id"]] = rev
            self._people[told["user_id"]] = told

    def _count_unread(self, told: Mapping[str, Any], rev: int) -> None:
        self._read_seq = max(self._read_seq, told["read_seq"])
        if rev >= self._unread_rev:
            self._unread_rev = rev
            names = ("read_seq", "unread", "mentions", "first_unread_seq")
            self.unread = {name: told[name] for name in names}

    def _happen(self, frame: Mapping[str, Any]) -> None:
        """Types that are not known change nothing."""
        kind, told = frame["t"], frame["d"]
        match kind.partition(".")[0]:
            case "room":
                self._change_room(frame)
            case "member":
                self._come_or_go(frame)
            case "mod" if told["kind"] in ("mute", "unmute"):
                self._change_member(told["user_id"], muted_until=told["until"])
            case "message" if kind == "message.created":
                self._create(frame)
            case "message" | "reaction" | "card":
                self._pin_or_unpin(frame)
                message = self._messages.get(told["message_id"])
                if message is not None and message.as_of < frame["seq"]:
                    message.as_of = frame["seq"]
                    self._change(message.item, frame)

    def _change_room(self, frame: Mapping[str, Any]) -> None:
        told = frame["d"]
        match frame["t"]:
            case "room.created":
                fields = ("name", "description", "is_private")
                self._room |= {name: told[name] for name in fields if name in told}
                self._room |= {"created_by": told["owner_id"], "created_at": _at(frame, "created")}
            case "room.updated":
                self._room |= told

    def _come_or_go(self, frame: Mapping[str, Any]) -> None:
        told = frame["d"]
        match frame["t"]:
            case "member.joined":
                self._people[told["user_id"]] = told["author"]
                self._members[told["user_id"]] = {
                    "user_id": told["user_id"],
                    "role": told["role"],
                    "joined_at": _at(frame, "joined"),
                    "muted_until": told.get("muted_until"),
                }
            case "member.left" | "member.kicked" | "member.banned":
                self._members.pop(told["user_id"], None)
            case "member.role":
                self._change_member(told["user_id"], role=told["role"])

    def _pin_or_unpin(self, frame: Mapping[str, Any]) -> None:
        match frame["t"]:
            case "message.pinned":
                self._pins[frame["d"]["message_id"]] = _at(frame, "pinned")
            case "message.unpinned" | "message.deleted":
                self._pins.pop(frame["d"]["message_id"], None)

    def _change_member(self, user_id: str, **fields: Any) -> None:
        if user_id in self._members:
            self._members[user_id] |= fields

    def _create(self, frame: Mapping[str, Any]) -> None:
        told, seq = frame["d"], frame["seq"]
        self._people[told["author_id"]] = told["author"]
        created = self._messages.setdefault(
            told["id"],
            _Message(
                {
                    **{name: told[name] for name in ("id", "author_id", "type", "parent_id")},
                    **{name: told[name] for name in ("edit_version", "created_at")},
                    **_words(told),
                    "room_id": self._room["id"],
                    "seq": seq,
                    "edited_at": None,
                    "deleted_at": None,
                    "reactions": [],
                },
                seq,
            ),
        )
        if told["parent_id"] is None:
            created.thread = created.thread or _Thread(0, None, seq)
            return
        root = self._messages.get(told["parent_id"])
        if root is not None and root.thread is not None and root.thread.as_of < seq:
            last = root.thread.last_reply_at
            later = last is None or moment(told["created_at"]) > moment(last)
            root.thread = _Thread(
                root.thread.reply_count + 1, told["created_at"] if later else last, seq
            )

    def _change(self, item: Item, frame: Mapping[str, Any]) -> None:
        told = frame["d"]
        match frame["t"]:
            case "message.edited":
                item |= _words(told)
                item |= {"edit_version": told["edit_version"], "edited_at": told["edited_at"]}
            case "message.deleted":
                item |= {"text": "", "mentions": [], "links": [], "cards": [], "reactions": []}
                item["deleted_at"] = _at(frame, "deleted")
            case "reaction.changed":
                item["reactions"] = self._reactions(item["reactions"], frame)
            case "card.attached" if "card" in told:
                item["cards"] = _cards(item, told)

    def _reactions(self, known: list[Item], frame: Mapping[str, Any]) -> list[Item]:
        told = frame["d"]
        before = next((each for each in known if each["emoji"] == told["emoji"]), {"mine": False})
        others = [each for each in known if each["emoji"] != told["emoji"]]
        if told["count"] == 0:
            return others
        is_mine = told["user_id"] == self._viewer
        changed = {
            "emoji": told["emoji"],
            "count": told["count"],
            "first_at": _at(frame, "first"),
            "mine": told["action"] == "added" if is_mine else before["mine"],
        }
        return sorted(
            [*others, changed], key=lambda each: (moment(each["first_at"]), each["emoji"])
        )


def moment(text: str) -> datetime:
    """Two writers of JSON may write one time in two ways."""
    return msgspec.convert(text, datetime)


def _seq(message: _Message) -> int:
    seq: int = message.item["seq"]
    return seq


def _at(frame: Mapping[str, Any], what: str) -> str:
    """When it was done, as the row has it; entries from before this was told have only `ts`."""
    told: str | None = frame["d"].get(f"{what}_at")
    return told or datetime.fromtimestamp(frame["ts"] / 1000, UTC).isoformat()


def _words(told: Mapping[str, Any]) -> Item:
    """The log keeps none of a message that was deleted since."""
    lists = {name: told.get(name, []) for name in ("mentions", "links", "cards")}
    return {"text": told.get("text", ""), **lists}


def _cards(item: Item, told: Mapping[str, Any]) -> list[Item]:
    """In the order of the links; of two cards for one link the higher version counts."""
    cards = {card["link_id"]: card for card in item["cards"]}
    known = cards.get(told["link_id"])
    if known is None or known["card_version"] < told["card_version"]:
        cards[told["link_id"]] = {
            name: told[name] for name in ("link_id", "url", "card_version", "card")
        }
    return [cards[link["link_id"]] for link in item["links"] if link["link_id"] in cards]
