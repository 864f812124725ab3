"""The one list of everything published: who produces it, who consumes it, where it is kept."""

from typing import Literal

import msgspec

from seda_contracts.base import Contract
from seda_contracts.events import artist, auth, chat, crawl, unfurl, user, verification
from seda_contracts.streams import STREAMS, Stream

DeliveryClass = Literal["A", "B", "C", "D"]
"""What a lost or doubled delivery would cost, and so what stands behind it.

A: must take effect exactly once (accounts, sessions, claims, moderation): an inbox row beside the
   effect, and a dead letter is looked at by a person.
B: a projection: it carries a version or `seq`, so a reader drops what it has already passed.
C: work and its outcome: retried, may expire; whoever asked asks again.
D: live, best effort, repaired by `seq`: the signals of `live.py`, never a row of this list.
"""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the registry. `consumers` are durable names: `<service>.<purpose>`."""

    contract: type[Contract]
    producers: tuple[str, ...]
    """A fact has one. Work may be asked for by several; the first is whose need defined it."""
    consumers: tuple[str, ...] = ()
    delivery_class: DeliveryClass
    personal_data: bool = False

    @property
    def producer(self) -> str:
        return self.producers[0]

    @property
    def stream(self) -> Stream:
        """Raises LookupError when no stream keeps this type; a test tries every row."""
        return _stream_of(self.contract)


class Reader(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody outside the platform who takes some events of one stream, and does nothing else."""

    name: str
    """Of the user at the broker and of its durable consumer: lower case, one word."""
    contracts: tuple[type[Contract], ...]

    @property
    def stream(self) -> Stream:
        """Raises LookupError when the events are not all in one."""
        streams = {_stream_of(contract).name for contract in self.contracts}
        if len(streams) != 1:
            raise LookupError(f"{self.name} reads of {len(streams)} streams")
        return _stream_of(self.contracts[0])

    @property
    def producer(self) -> str:
        """Whose migration makes the durable consumer."""
        return BY_TYPE[self.contracts[0].TYPE].producer


def _stream_of(contract: type[Contract]) -> Stream:
    subject = contract.subject_filter()
    for stream in STREAMS:
        if any(subject.startswith(kept.removesuffix(">")) for kept in stream.subjects):
            return stream
    raise LookupError(f"no stream keeps {subject}")


def _row(
    delivery_class: DeliveryClass,
    contract: type[Contract],
    producers: str | tuple[str, ...],
    *consumers: str,
    personal_data: bool = False,
) -> Entry:
    return Entry(
        contract=contract,
        producers=(producers,) if isinstance(producers, str) else producers,
        consumers=consumers,
        delivery_class=delivery_class,
        personal_data=personal_data,
    )


REGISTRY = (
    _row("A", auth.AccountRegistered, "auth-gateway", "user-artist.accounts", personal_data=True),
    _row(
        "A",
        auth.SessionRevoked,
        "auth-gateway",
        "chat-realtime.sessions",
        "auth-gateway.revocations",
    ),
    _row(
        "A",
        auth.RoleChanged,
        "auth-gateway",
        "chat-realtime.sessions",
        "auth-gateway.revocations",
    ),
    _row(
        "A",
        auth.BotCreated,
        "auth-gateway",
        "user-artist.accounts",
        "chat-realtime.bots",
        personal_data=True,
    ),
    _row(
        "A",
        auth.AccountSuspended,
        "auth-gateway",
        "chat-realtime.sessions",
        "auth-gateway.revocations",
    ),
    _row(
        "A",
        auth.AccountRestored,
        "auth-gateway",
        "chat-realtime.sessions",
        "auth-gateway.revocations",
    ),
    _row("B", user.UserProfileCreated, "user-artist"),
    _row("B", user.UserProfileUpdated, "user-artist"),
    _row("B", user.BlockChanged, "user-artist", "chat-realtime.blocks"),
    _row("B", user.UserState, "user-artist", "chat-realtime.people", personal_data=True),
    _row("B", artist.ArtistProfileCreated, "user-artist", "verification.artists"),
    _row("B", artist.ArtistProfileUpdated, "user-artist", "verification.artists"),
    _row("A", artist.ArtistVerificationApplied, "user-artist"),
    _row("B", artist.ArtistState, "user-artist", "chat-realtime.people", personal_data=True),
    _row("A", verification.VerificationSubmitted, "verification"),
    _row("A", verification.VerificationCheckPassed, "verification"),
    _row("A", verification.VerificationCheckFailed, "verification"),
    _row("A", verification.VerificationApproved, "verification", "user-artist.badges"),
    _row("A", verification.VerificationRejected, "verification"),
    _row("A", verification.VerificationExpired, "verification"),
    _row("C", crawl.CrawlFetch, ("verification", "crawler"), "crawler.jobs"),
    _row("A", crawl.CrawlPageFetched, "crawler", "verification.pages"),
    _row("C", crawl.CrawlJobFailed, "crawler", "verification.pages"),
    _row("C", unfurl.UnfurlResolve, "chat-realtime", "track-unfurl.links"),
    _row("B", unfurl.TrackResolved, "track-unfurl", "chat-realtime.cards"),
    _row("C", unfurl.LinkUnresolvable, "track-unfurl", "chat-realtime.cards"),
    _row("B", unfurl.TrackState, "track-unfurl"),
    _row("B", unfurl.ChartsUpdated, "track-unfurl"),
    _row("B", chat.RoomCreated, "chat-realtime"),
    _row("B", chat.RoomUpdated, "chat-realtime"),
    _row("B", chat.MemberJoined, "chat-realtime"),
    _row("B", chat.MemberLeft, "chat-realtime"),
    _row("B", chat.MessageSent, "chat-realtime", "track-unfurl.shares"),
    _row("B", chat.MessageEdited, "chat-realtime", "track-unfurl.shares"),
    _row("B", chat.MessageDeleted, "chat-realtime", "track-unfurl.shares"),
    _row("B", chat.CardAttached, "chat-realtime"),
    _row("B", chat.ReactionAdded, "chat-realtime", "track-unfurl.shares"),
    _row("B", chat.ReactionRemoved, "chat-realtime", "track-unfurl.shares"),
    _row("A", chat.ModerationActionTaken, "chat-realtime"),
    _row("A", chat.AccountMuted, "chat-realtime"),
)


class Consumer(msgspec.Struct, frozen=True, kw_only=True):
    """How patient the broker is with one durable consumer."""

    ack_wait_seconds: int = 6
    """How long after a process died its messages go to another. Not how long work may take: a
    consumer that lives says so every third of it.
    """
    ack_pending_max: int = 64
    handling_seconds_max: int = 60
    """One try of a handler; one that takes longer hangs, and is tried again."""


CONSUMERS = {"crawler.jobs": Consumer(handling_seconds_max=600)}
"""Only what differs from the defaults of `Consumer`."""

READERS: tuple[Reader, ...] = ()
"""Who reads from outside. `Reader(name="report", contracts=(chat.MessageSent,))` is a whole row."""

RETIRED: tuple[str, ...] = ()
"""Types that were once published. Their names are never used again."""

BY_TYPE = {entry.contract.TYPE: entry for entry in REGISTRY}


def durable_name(consumer: str) -> str:
    """The name of a consumer at the broker, where names have no dots."""
    return consumer.replace(".", "_")


def consumed_by(service: str) -> tuple[Entry, ...]:
    return tuple(
        entry
        for entry in REGISTRY
        if any(consumer.startswith(f"{service}.") for consumer in entry.consumers)
    )


def produced_by(service: str) -> tuple[Entry, ...]:
    return tuple(entry for entry in REGISTRY if service in entry.producers)
