"""The wire of `seda.rt.v1`, both directions: every shape a socket may carry, and nothing else.

Clients send commands; the server sends replies (by command id), events (durable, numbered by the
room), states (the latest wins), ephemerals (may be dropped) and controls. Readers ignore fields
they do not know.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec

SUBPROTOCOL = "seda.v1.json"
VERSION = 1

Retry = Literal["never", "later", "after_refresh"]
ReportCategory = Literal["spam", "harassment", "hate", "sexual", "violence", "other"]
ReplayResult = Literal["replay", "current", "snapshot", "gone"]


class Cursor(msgspec.Struct, frozen=True):
    """How far a client has read one room. A foreign epoch makes `seq` worthless."""

    ep: str
    seq: Annotated[int, msgspec.Meta(ge=0)]


class Resume(msgspec.Struct, frozen=True):
    rooms: dict[UUID, Cursor] = {}


class Hello(msgspec.Struct, frozen=True):
    """Exactly one of `ticket` (one use, from the gateway) and `token` (an access token).

    `v` is the version the client speaks; another than the server's is closed with 4502.
    """

    ticket: str | None = None
    token: str | None = None
    resume: Resume = Resume()
    v: int = VERSION


class Refresh(msgspec.Struct, frozen=True):
    token: str


class Subscribe(msgspec.Struct, frozen=True):
    """With `ep` and `seq` the missed events come first; without, only what happens from now on."""

    ep: str | None = None
    seq: Annotated[int, msgspec.Meta(ge=0)] | None = None


class Unsubscribe(msgspec.Struct, frozen=True):
    pass


class SendMessage(msgspec.Struct, frozen=True):
    """`cid` is the client's own id: sending it again returns the first message."""

    cid: str
    text: str
    parent_id: UUID | None = None


class EditMessage(msgspec.Struct, frozen=True):
    message_id: UUID
    text: str


class DeleteMessage(msgspec.Struct, frozen=True):
    message_id: UUID


class React(msgspec.Struct, frozen=True):
    message_id: UUID
    emoji: str


class Unreact(msgspec.Struct, frozen=True):
    message_id: UUID
    emoji: str


class Pin(msgspec.Struct, frozen=True):
    """Moderators keep a message at hand."""

    message_id: UUID


class Unpin(msgspec.Struct, frozen=True):
    message_id: UUID


class Report(msgspec.Struct, frozen=True):
    """Ask the moderators to look at a message."""

    message_id: UUID
    category: ReportCategory
    comment: str = ""


class Moderate(msgspec.Struct, frozen=True):
    """`user_id` for what is done to a person, `message_id` for a deletion, `until` for a mute or a
    ban, `seconds` for slow mode (0 ends it).
    """

    reason: str
    user_id: UUID | None = None
    message_id: UUID | None = None
    until: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    seconds: int | None = None


class BulkDelete(msgspec.Struct, frozen=True):
    """These messages, or what somebody said since then: at most 100 at once."""

    reason: str
    message_ids: Annotated[list[UUID], msgspec.Meta(max_length=100)] = []
    user_id: UUID | None = None
    since: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class Typing(msgspec.Struct, frozen=True):
    pass


class SetPresence(msgspec.Struct, frozen=True):
    """Of this device. `invisible` does not count; a person is idle when all other devices are."""

    status: Literal["online", "idle", "invisible"]


class MarkRead(msgspec.Struct, frozen=True):
    seq: Annotated[int, msgspec.Meta(ge=0)]


class Heartbeat(msgspec.Struct, frozen=True):
    """`t0` is the client's clock in milliseconds, given back so it can compute the offset."""

    n: int = 0
    t0: float = 0


Body = (
    Hello
    | Refresh
    | Subscribe
    | Unsubscribe
    | SendMessage
    | EditMessage
    | DeleteMessage
    | React
    | Unreact
    | Report
    | Moderate
    | BulkDelete
    | Pin
    | Unpin
    | Typing
    | SetPresence
    | MarkRead
    | Heartbeat
)

BODIES: Mapping[str, type[Body]] = {
    "hello": Hello,
    "auth.refresh": Refresh,
    "room.sub": Subscribe,
    "room.unsub": Unsubscribe,
    "msg.send": SendMessage,
    "msg.edit": EditMessage,
    "msg.delete": DeleteMessage,
    "react.add": React,
    "react.remove": Unreact,
    "msg.report": Report,
    "mod.mute": Moderate,
    "mod.unmute": Moderate,
    "mod.kick": Moderate,
    "mod.ban": Moderate,
    "mod.unban": Moderate,
    "mod.delete": Moderate,
    "mod.bulk_delete": BulkDelete,
    "mod.slow": Moderate,
    "mod.lock": Moderate,
    "mod.unlock": Moderate,
    "pin.add": Pin,
    "pin.remove": Unpin,
    "typing": Typing,
    "presence.set": SetPresence,
    "read.mark": MarkRead,
    "hb": Heartbeat,
}

WITHOUT_ROOM = frozenset({"hello", "auth.refresh", "hb", "presence.set"})


class Envelope(msgspec.Struct, frozen=True):
    """A command before its `d` is understood."""

    op: str
    id: Annotated[int, msgspec.Meta(ge=0, le=2**53)] = 0
    room: UUID | None = None
    d: msgspec.Raw = msgspec.Raw(b"{}")


class Failure(msgspec.Struct, frozen=True, omit_defaults=True):
    code: str
    retry: Retry
    msg: str = ""
    retry_ms: int | None = None


class Accepted(msgspec.Struct, frozen=True):
    id: int
    ok: Any


class Refused(msgspec.Struct, frozen=True):
    id: int
    err: Failure


class Welcome(msgspec.Struct, frozen=True, tag_field="op", tag="welcome"):
    hb_ms: int
    hb_grace_ms: int
    limits: dict[str, int]
    server_time: int
    build: str


class RoomReady(msgspec.Struct, frozen=True):
    """`n` events follow when `result` is `replay`. `snapshot` says: read history over HTTP."""

    room: UUID
    result: ReplayResult
    ep: str = ""
    head: int = 0
    n: int = 0


class Ready(msgspec.Struct, frozen=True, tag_field="op", tag="ready"):
    id: int
    conn: UUID
    user: UUID
    rooms: list[RoomReady]
    exp: int | None = None
    """Unix milliseconds at which the token ends; absent for tickets, whose session is watched."""


PresenceStatus = Literal["online", "idle", "offline"]


class Present(msgspec.Struct, frozen=True):
    user_id: UUID
    status: PresenceStatus


class PresenceState(msgspec.Struct, frozen=True):
    """The state `presence` of a room. `whole` replaces what a client has, else it is a change.

    A room too full to name everybody is not `complete`: `count` is right and `people` a sample.
    """

    count: int
    people: list[Present]
    whole: bool
    complete: bool


class UnreadState(msgspec.Struct, frozen=True):
    """The state `unread` of one person in one room, to all their devices. Counts stop at 100."""

    read_seq: int
    unread: int
    mentions: int
    first_unread_seq: int | None = None


class Live(msgspec.Struct, frozen=True, tag_field="op", tag="live"):
    """Everything after `head` of this room arrives on this socket from here on."""

    room: UUID
    head: int


class Lagged(msgspec.Struct, frozen=True, tag_field="op", tag="lagged", rename={"from_": "from"}):
    """The client read too slowly: events after `from` were left out and are in the room's log."""

    room: UUID
    from_: int


class Unsub(msgspec.Struct, frozen=True, tag_field="op", tag="unsub"):
    room: UUID
    reason: str


class Drain(msgspec.Struct, frozen=True, tag_field="op", tag="drain"):
    in_ms: int
    resume: bool = True


class Notice(msgspec.Struct, frozen=True, tag_field="op", tag="notice"):
    """Something about this person that is no room's: `muted` or `unmuted` everywhere."""

    code: str
    until: datetime | None = None


class AuthExpiring(msgspec.Struct, frozen=True, tag_field="op", tag="auth.expiring"):
    in_ms: int


class HeartbeatOk(msgspec.Struct, frozen=True, tag_field="op", tag="hb.ok"):
    id: int
    n: int
    t0: float
    t1: float
    t2: float
    heads: dict[UUID, int]


class EventFrame(msgspec.Struct, frozen=True, tag_field="op", tag="ev"):
    """An entry of a room's log as it crosses the wire, live and replayed alike."""

    room: UUID
    ep: str
    seq: int
    acl: int
    t: str
    ts: int
    """Unix milliseconds."""
    d: dict[str, Any]


class StateFrame(msgspec.Struct, frozen=True, tag_field="op", tag="st"):
    room: UUID
    t: str
    rev: int
    d: Any


class EphemeralFrame(msgspec.Struct, frozen=True, tag_field="op", tag="ep"):
    room: UUID
    t: str
    d: Any
