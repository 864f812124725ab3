"""The local members of one room, and the frames on their way to them.

Members stand in shares of a few dozen. A frame waits in every share until it is the share's turn,
one share per turn of the event loop, and all that waited there leaves in one write per member. To
write to a thousand members takes long: between two shares the loop hears what has come meanwhile,
which goes along with the shares that follow. So nobody waits for longer than one round of all.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol
from uuid import UUID

from chat_realtime.live.framing import deflated_frame, text_frame

BATCH_BYTES_MAX = 64 * 1024
"""One write above this would push every member over its high-water mark at once."""
STATES_KEPT_MAX = 64
SHARE_MEMBERS_MAX = 64
"""Written to in less than a millisecond."""

Write = Callable[[bytes], None]
CallSoon = Callable[[Callable[[], None]], object]
Latest = Callable[[], bytes]
"""What a state is when somebody is told who was not told of its changes."""


class Member(Protocol):
    """A socket as the hub sees it. `write` takes whole frames and must not raise."""

    @property
    def write(self) -> Write: ...

    @property
    def deflates(self) -> bool: ...


class Lag:
    """What a member that is on no list will be told when it is on one again."""

    __slots__ = ("from_seq", "states")

    def __init__(self, from_seq: int, states: Mapping[str, Latest] | None = None) -> None:
        self.from_seq = from_seq
        self.states = dict(states or {})

    def keep(self, key: str, latest: Latest) -> None:
        if key in self.states or len(self.states) < STATES_KEPT_MAX:
            self.states[key] = latest

    def frames(self) -> list[bytes]:
        return [text_frame(latest()) for latest in self.states.values()]


class _Frame:
    """Made once for all shares, compressed when the first of them needs it."""

    __slots__ = ("_deflated", "_payload", "text")

    def __init__(self, payload: bytes) -> None:
        self._payload = payload
        self._deflated: bytes | None = None
        self.text = text_frame(payload)

    @property
    def deflated(self) -> bytes:
        if self._deflated is None:
            self._deflated = deflated_frame(self._payload)
        return self._deflated


class _Share:
    """Some members, all written to in the same turn."""

    __slots__ = (
        "_pending",
        "_pending_bytes",
        "_pending_seq",
        "deflated",
        "fast",
        "is_waiting",
        "states",
        "written_seq",
    )

    def __init__(self, *, head: int) -> None:
        self.fast: dict[Member, Write] = {}
        self.deflated: dict[Member, Write] = {}
        """As `fast`, of those who are written compressed frames."""
        self.written_seq = head
        """The last durable event handed to the transports."""
        self.is_waiting = False
        """For its turn."""
        self.states: dict[str, Latest] = {}
        """Those that wait to be written."""
        self._pending: list[_Frame] = []
        self._pending_bytes = 0
        self._pending_seq = head

    def __len__(self) -> int:
        return len(self.fast) + len(self.deflated)

    def append(self, frame: _Frame, seq: int | None, state: tuple[str, Latest] | None) -> None:
        if self._pending_bytes + len(frame.text) > BATCH_BYTES_MAX:
            self.flush()
        self._pending.append(frame)
        self._pending_bytes += len(frame.text)
        if seq is not None:
            self._pending_seq = seq
        if state is not None:
            self.states[state[0]] = state[1]

    def flush(self) -> None:
        if not self._pending:
            return
        pending, self._pending = self._pending, []
        self._pending_bytes = 0
        self.written_seq = self._pending_seq
        if self.states:
            self.states = {}
        # Snapshots: a transport may call pause_writing inside write, which changes the lists.
        if self.fast:
            joined = b"".join([frame.text for frame in pending])
            for write in list(self.fast.values()):
                write(joined)
        if self.deflated:
            joined = b"".join([frame.deflated for frame in pending])
            for write in list(self.deflated.values()):
                write(joined)


class Audience:
    """Who of this process hears one room."""

    __slots__ = (
        "_call_soon",
        "_shares",
        "_turns",
        "head",
        "joining",
        "room",
        "slow",
    )

    def __init__(self, room: UUID, *, head: int, call_soon: CallSoon) -> None:
        self.room = room
        self.head = head
        """The last durable event accepted for this room."""
        self.slow: dict[Member, Lag] = {}
        self.joining: dict[Member, Lag] = {}
        """Members that read the log further than we have heard, from up to where."""
        self._shares: list[_Share] = []
        self._turns: list[_Share] = []
        """As long as there are any, the next one is asked for already."""
        self._call_soon = call_soon

    def __len__(self) -> int:
        return sum(map(len, self._shares)) + len(self.slow) + len(self.joining)

    def __iter__(self) -> Iterator[Member]:
        for share in self._shares:
            yield from (*share.fast, *share.deflated)
        yield from (*self.slow, *self.joining)

    def append(
        self, payload: bytes, *, seq: int | None = None, state: tuple[str, Latest] | None = None
    ) -> None:
        """To everyone on the lists, in one of the next turns. `seq` is a durable event's; a state
        has a key, and is kept for whoever is not handed it.
        """
        if seq is not None:
            self.head = seq
        if state is not None:
            for lag in (*self.slow.values(), *self.joining.values()):
                lag.keep(*state)
        if not self._shares:
            return
        frame = _Frame(payload)
        is_asked = bool(self._turns)
        # A share may go while another is written to, when its last member is paused.
        for share in list(self._shares):
            share.append(frame, seq, state)
            if not share.is_waiting:
                share.is_waiting = True
                self._turns.append(share)
        if not is_asked:
            self._call_soon(self._take_turn)

    def flush(self) -> None:
        """Everything to everyone, at once."""
        for share in list(self._shares):
            share.flush()

    def admit(self, member: Member, *, after_seq: int) -> int:
        """Onto the lists. Answers what was the last event before the first it will get, which is
        `after_seq` or later.
        """
        share = next((each for each in self._shares if len(each) < SHARE_MEMBERS_MAX), None)
        if share is None:
            share = _Share(head=self.head)
            self._shares.append(share)
        if share.written_seq < after_seq:
            share.flush()
        (share.deflated if member.deflates else share.fast)[member] = member.write
        return share.written_seq

    def dismiss(self, member: Member) -> Lag | None:
        """Off the lists. Answers what it was not handed any more; None when it was on none."""
        for share in self._shares:
            if (share.deflated if member.deflates else share.fast).pop(member, None) is not None:
                if not share:
                    self._shares.remove(share)
                return Lag(share.written_seq, share.states)
        return None

    def remove(self, member: Member) -> None:
        self.dismiss(member)
        self.slow.pop(member, None)
        self.joining.pop(member, None)

    def _take_turn(self) -> None:
        share = self._turns[0]
        share.is_waiting = False
        share.flush()
        # Only now: what a write brings about finds that a turn is under way.
        self._turns.pop(0)
        if self._turns:
            self._call_soon(self._take_turn)
