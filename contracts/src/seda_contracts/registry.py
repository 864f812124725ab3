"""The one list of everything published: who produces it, who consumes it, where it is kept."""

import msgspec

from seda_contracts.base import Contract
from seda_contracts.events import artist, auth, chat, crawl, unfurl, user, verification
from seda_contracts.streams import STREAMS, Stream


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the registry. `consumers` are durable names: `<service>.<purpose>`."""

    contract: type[Contract]
    producer: str
    consumers: tuple[str, ...] = ()
    personal_data: bool = False

    @property
    def stream(self) -> Stream:
        """Raises LookupError when no stream keeps this type; a test tries every row."""
        subject = self.contract.subject_filter()
        for stream in STREAMS:
            if any(subject.startswith(kept.removesuffix(">")) for kept in stream.subjects):
                return stream
        raise LookupError(f"no stream keeps {subject}")


def _row(
    contract: type[Contract], producer: str, *consumers: str, personal_data: bool = False
) -> Entry:
    return Entry(
        contract=contract, producer=producer, consumers=consumers, personal_data=personal_data
    )


REGISTRY = (
    _row(auth.AccountRegistered, "auth-gateway", "user-artist.accounts", personal_data=True),
    _row(auth.SessionRevoked, "auth-gateway", "chat-realtime.sessions", "auth-gateway.revocations"),
    _row(auth.RoleChanged, "auth-gateway", "chat-realtime.sessions", "auth-gateway.revocations"),
    _row(user.UserProfileCreated, "user-artist"),
    _row(user.UserProfileUpdated, "user-artist"),
    _row(user.UserState, "user-artist", "chat-realtime.people", personal_data=True),
    _row(artist.ArtistProfileCreated, "user-artist", "verification.artists"),
    _row(artist.ArtistProfileUpdated, "user-artist", "verification.artists"),
    _row(artist.ArtistVerificationApplied, "user-artist"),
    _row(artist.ArtistState, "user-artist", "chat-realtime.people", personal_data=True),
    _row(verification.VerificationSubmitted, "verification"),
    _row(verification.VerificationCheckPassed, "verification"),
    _row(verification.VerificationCheckFailed, "verification"),
    _row(verification.VerificationApproved, "verification", "user-artist.badges"),
    _row(verification.VerificationRejected, "verification"),
    _row(verification.VerificationExpired, "verification"),
    _row(crawl.CrawlFetch, "verification", "crawler.jobs"),
    _row(crawl.CrawlPageFetched, "crawler", "verification.pages"),
    _row(crawl.CrawlJobFailed, "crawler", "verification.pages"),
    _row(unfurl.UnfurlResolve, "chat-realtime", "track-unfurl.links"),
    _row(unfurl.TrackResolved, "track-unfurl", "chat-realtime.cards"),
    _row(unfurl.LinkUnresolvable, "track-unfurl", "chat-realtime.cards"),
    _row(unfurl.TrackState, "track-unfurl"),
    _row(unfurl.ChartsUpdated, "track-unfurl"),
    _row(chat.RoomCreated, "chat-realtime"),
    _row(chat.RoomUpdated, "chat-realtime"),
    _row(chat.MemberJoined, "chat-realtime"),
    _row(chat.MemberLeft, "chat-realtime"),
    _row(chat.MessageSent, "chat-realtime", "track-unfurl.shares"),
    _row(chat.MessageEdited, "chat-realtime", "track-unfurl.shares"),
    _row(chat.MessageDeleted, "chat-realtime", "track-unfurl.shares"),
    _row(chat.CardAttached, "chat-realtime"),
    _row(chat.ReactionAdded, "chat-realtime", "track-unfurl.shares"),
    _row(chat.ReactionRemoved, "chat-realtime", "track-unfurl.shares"),
    _row(chat.ModerationActionTaken, "chat-realtime"),
)


class Consumer(msgspec.Struct, frozen=True, kw_only=True):
    """How patient the broker is with one durable consumer."""

    ack_wait_seconds: int = 30
    ack_pending_max: int = 64


CONSUMERS = {"crawler.jobs": Consumer(ack_wait_seconds=120, ack_pending_max=16)}
"""Only what differs from the defaults of `Consumer`."""

BY_TYPE = {entry.contract.TYPE: entry for entry in REGISTRY}


def consumed_by(service: str) -> tuple[Entry, ...]:
    return tuple(
        entry
        for entry in REGISTRY
        if any(consumer.startswith(f"{service}.") for consumer in entry.consumers)
    )


def produced_by(service: str) -> tuple[Entry, ...]:
    return tuple(entry for entry in REGISTRY if entry.producer == service)
