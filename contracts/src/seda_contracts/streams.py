"""JetStream streams: which subjects live where, and for how long.

`python -m <service> migrate` creates what its service needs; a stream's declaration is here only.
Retentions come from the catalogue (90 days of profile facts, 14 of chat, and so on). State streams
keep one message per subject and no age.
"""

import msgspec

DAY_SECONDS = 86_400
DUPLICATE_WINDOW_SECONDS = 600


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """Retention is by age for facts, by completion for work, by subject for snapshots."""

    name: str
    subjects: tuple[str, ...]
    max_age_seconds: int = 0
    """0 keeps for ever."""
    work_queue: bool = False
    latest_only: bool = False
    compressed: bool = False
    messages_max: int = -1
    bytes_max: int = 1 << 30


STREAMS = (
    Stream(name="AUTH", subjects=("seda.evt.auth.>",), max_age_seconds=30 * DAY_SECONDS),
    Stream(
        name="USER",
        subjects=("seda.evt.user.>", "seda.evt.artist.>"),
        max_age_seconds=90 * DAY_SECONDS,
    ),
    Stream(name="STATE", subjects=("seda.state.>",), latest_only=True),
    Stream(name="VERIFY", subjects=("seda.evt.verification.>",), max_age_seconds=180 * DAY_SECONDS),
    Stream(
        name="CHAT",
        subjects=("seda.evt.chat.>",),
        max_age_seconds=14 * DAY_SECONDS,
        compressed=True,
    ),
    Stream(
        name="UNFURL",
        subjects=("seda.evt.unfurl.>", "seda.evt.charts.>"),
        max_age_seconds=14 * DAY_SECONDS,
    ),
    Stream(
        name="CRAWL",
        subjects=("seda.evt.crawl.>",),
        max_age_seconds=7 * DAY_SECONDS,
        compressed=True,
    ),
    Stream(
        name="MODERATION", subjects=("seda.evt.moderation.>",), max_age_seconds=365 * DAY_SECONDS
    ),
    Stream(
        name="CMD_UNFURL",
        subjects=("seda.cmd.unfurl.>",),
        max_age_seconds=DAY_SECONDS,
        work_queue=True,
        messages_max=100_000,
    ),
    Stream(
        name="CMD_CRAWL",
        subjects=("seda.cmd.crawl.>",),
        max_age_seconds=DAY_SECONDS,
        work_queue=True,
        messages_max=100_000,
    ),
    Stream(name="DLQ", subjects=("seda.dlq.>",), max_age_seconds=30 * DAY_SECONDS),
    # The net below the dead letters: what the broker itself gave up, because every process that
    # took it died of it. Pointers to messages, not the messages.
    Stream(
        name="ADVISORY",
        subjects=(
            "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>",
            "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.>",
        ),
        max_age_seconds=30 * DAY_SECONDS,
        bytes_max=64 << 20,
    ),
)

NETS = ("DLQ", "ADVISORY")
"""Streams that every service needs, whatever it produces or consumes."""


class Bucket(msgspec.Struct, frozen=True, kw_only=True):
    """A key-value bucket of one service, whose entries go by age."""

    name: str
    service: str
    max_age_seconds: int


BUCKETS = (
    # An entry outlives the longest access token a gateway may be told to give (one hour).
    Bucket(name="auth_revoked", service="auth-gateway", max_age_seconds=3_600 + 60),
)
