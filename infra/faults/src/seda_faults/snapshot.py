"""Everything there is to know of the quiesced system, read by an administrator and changed by none.

What is compared are lists of names: each `Flow` says what had to arrive somewhere and what did.
"""

import json
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import msgspec
from nats.aio.client import Client
from seda_contracts.registry import BY_TYPE, REGISTRY, durable_name
from seda_contracts.streams import NETS, STREAMS, Stream
from seda_devrunner.checkout import Service

PAGE_MESSAGES = 1_000
READ_SECONDS_MAX = 10.0
INBOXED = (
    "user-artist.accounts",
    "track-unfurl.links",
    "track-unfurl.shares",
    "chat-realtime.cards",
)
"""Consumers whose every effect has an inbox row. The others are compared by their projections."""

LEDGER = "ledger.entries"
KICK = "concat_ws(' ', room_id, data->>'user_id')"
KICKED = "WHERE type = 'member.kicked'"


@dataclass(frozen=True, slots=True)
class Flow:
    """`source` had to arrive exactly once; `arrived` did. `allowed` may, and need not."""

    name: str
    source: list[str]
    arrived: list[str]
    allowed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Waiting:
    """What has not reached its end: rows in outboxes, messages at consumers."""

    unpublished: dict[str, int]
    pending: dict[str, int]

    @property
    def total(self) -> int:
        return sum(self.unpublished.values()) + sum(self.pending.values())

    def __str__(self) -> str:
        parts = {**self.unpublished, **self.pending}
        return ", ".join(f"{name} {count}" for name, count in parts.items() if count) or "nothing"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`log` is the numbers of each room in PostgreSQL, `heads` the number each gave last."""

    committed: int
    """Rows of all outboxes."""
    flows: list[Flow]
    log: dict[str, list[int]]
    heads: dict[str, int]
    waiting: Waiting
    dead_letters: list[str] = field(default_factory=list)
    stored: dict[str, list[str]] = field(default_factory=dict)
    """Rows a client's operation must have left, by kind of operation."""
    kicks: dict[str, int] = field(default_factory=dict)
    """Room and person -> the number of the entry that removed them."""


class Event(msgspec.Struct, frozen=True):
    """One row of an outbox."""

    event_id: str
    type: str
    subject: str
    is_passing: bool
    """Says only that something may be asked for again: nobody keeps it, so no inbox has it."""


class Reader:
    """Reads as the database's administrator and as an operator of the broker."""

    def __init__(
        self, database: asyncpg.Connection, broker: Client, services: tuple[Service, ...]
    ) -> None:
        self._database = database
        self._broker = broker
        self._services = services

    async def waiting(self) -> Waiting:
        unpublished = {
            f"{service.schema}.outbox": await self._database.fetchval(
                f"SELECT count(*) FROM {service.schema}.outbox WHERE published_at IS NULL"
            )
            for service in self._services
        }
        pending = {}
        js = self._broker.jetstream()
        for consumer, stream in self._consumers():
            info = await js.consumer_info(stream, durable_name(consumer))
            pending[consumer] = (info.num_pending or 0) + (info.num_ack_pending or 0)
        return Waiting(unpublished, pending)

    async def heads(self) -> dict[str, int]:
        return dict(await self._pairs("SELECT id::text, last_seq FROM chat.room"))

    async def read(self) -> Snapshot:
        """What arrived is read before what was sent: what is still on its way then looks lost,
        which it is by the time this is read, and never invented.
        """
        taken = {consumer: await self._taken(consumer) for consumer in (*INBOXED, LEDGER)}
        streams = {s.name: await self._stored(s.name) for s in STREAMS if not s.work_queue}
        projections = await self._projections()
        outboxes = {s.schema: await self._outbox(s.schema) for s in self._services}
        events = [event for rows in outboxes.values() for event in rows]
        flows = [*_into_streams(events, streams), *_into_consumers(events, taken), *projections]
        return Snapshot(
            committed=len(events),
            flows=flows,
            log=await self._log(),
            heads=await self.heads(),
            waiting=await self.waiting(),
            dead_letters=_dead_letters(streams),
            stored=await self._operations(),
            kicks=dict(await self._pairs(f"SELECT {KICK}, seq FROM chat.room_log {KICKED}")),
        )

    def _consumers(self) -> list[tuple[str, str]]:
        running = {service.name for service in self._services}
        found = {
            (consumer, row.stream.name)
            for row in REGISTRY
            for consumer in row.consumers
            if consumer.partition(".")[0] in running
        }
        return sorted(found | {(LEDGER, "CHAT")})

    async def _outbox(self, schema: str) -> list[Event]:
        rows = await self._database.fetch(
            f"SELECT event_id::text AS event_id, headers->>'ce-type' AS type, subject, "
            "coalesce(convert_from(payload, 'UTF8')::jsonb->'retryable' = 'true', false) "
            "AS is_passing "
            f"FROM {schema}.outbox ORDER BY id"
        )
        return [Event(**row) for row in rows]

    async def _taken(self, consumer: str) -> list[str]:
        """Ids of the events that took effect."""
        if consumer == LEDGER:
            return await self._column("SELECT event_id::text FROM ledger.entry")
        schemas = {service.name: service.schema for service in self._services}
        schema = schemas[consumer.partition(".")[0]]
        return await self._column(
            f"SELECT event_id::text FROM {schema}.inbox WHERE consumer = $1", consumer
        )

    async def _projections(self) -> list[Flow]:
        """The same facts in the schemas of those who tell them and of those who were told."""
        return [
            await self._flow(
                "messages → events",
                "SELECT id::text FROM chat.message",
                "SELECT convert_from(payload, 'UTF8')::jsonb->>'message_id' FROM chat.outbox "
                "WHERE headers->>'ce-type' = 'chat.message.sent.v1'",
            ),
            await self._flow(
                "accounts → profiles",
                "SELECT id::text FROM auth.account",
                "SELECT id::text FROM user_artist.profile",
            ),
            await self._flow(
                "profiles → names in chat",
                "SELECT concat_ws(' ', id, version, display_name) FROM user_artist.profile",
                "SELECT concat_ws(' ', user_id, version, display_name) FROM chat.person",
            ),
            await self._flow(
                "links → shares",
                "SELECT concat_ws(' ', message_id, link_id) FROM chat.message_link",
                "SELECT concat_ws(' ', message_id, link_id) FROM unfurl.share",
            ),
            await self._flow(
                # A page that does not answer in time on a busy machine is no fault of ours.
                "links → cards, or word that there is none",
                "SELECT concat_ws(' ', message_id, link_id) FROM chat.message_link",
                "SELECT concat_ws(' ', message_id, link_id) FROM chat.message_link "
                "WHERE card_version > 0 OR link_id::text IN ("
                "SELECT convert_from(payload, 'UTF8')::jsonb->>'link_id' FROM unfurl.outbox "
                "WHERE headers->>'ce-type' = 'unfurl.link.unresolvable.v1')",
            ),
            await self._flow(
                "reactions → reactions counted",
                "SELECT concat_ws(' ', message_id, user_id, emoji) FROM chat.reaction",
                "SELECT concat_ws(' ', message_id, user_id, emoji) FROM unfurl.reaction "
                "WHERE is_present",
            ),
        ]

    async def _operations(self) -> dict[str, list[str]]:
        """What each kind of operation leaves, by the keys of the history."""
        return {
            "sign-up": await self._column("SELECT email FROM auth.account"),
            "message": await self._column("SELECT cid FROM chat.message"),
            "edit": await self._column(
                "SELECT concat_ws(' ', message_id, data->>'text') FROM chat.room_log "
                "WHERE type = 'message.edited'"
            ),
            "reaction": await self._column(
                "SELECT concat_ws(' ', message_id, data->>'user_id', data->>'emoji') "
                "FROM chat.room_log WHERE type = 'reaction.changed'"
            ),
            "kick": await self._column(f"SELECT {KICK} FROM chat.room_log {KICKED}"),
        }

    async def _log(self) -> dict[str, list[int]]:
        log: dict[str, list[int]] = {}
        query = "SELECT room_id::text, seq FROM chat.room_log ORDER BY room_id, seq"
        for room, seq in await self._pairs(query):
            log.setdefault(room, []).append(seq)
        return log

    async def _flow(self, name: str, source: str, arrived: str) -> Flow:
        there = await self._column(arrived)
        return Flow(name, await self._column(source), there)

    async def _column(self, query: str, *arguments: Any) -> list[str]:
        return [row[0] for row in await self._database.fetch(query, *arguments)]

    async def _pairs(self, query: str) -> list[tuple[str, int]]:
        return [(row[0], row[1]) for row in await self._database.fetch(query)]

    async def _stored(self, stream: str) -> list[dict[str, str]]:
        """Headers of every message a stream keeps, with its `subject`."""
        found: list[dict[str, str]] = []
        inbox = self._broker.new_inbox()
        subscription = await self._broker.subscribe(inbox)
        try:
            next_sequence = 1
            while True:
                request = {"seq": next_sequence, "batch": PAGE_MESSAGES}
                await self._broker.publish(
                    f"$JS.API.DIRECT.GET.{stream}", json.dumps(request).encode(), inbox
                )
                more = False
                while True:
                    message = await subscription.next_msg(READ_SECONDS_MAX)
                    headers = dict(message.headers or {})
                    if "Nats-Sequence" not in headers:
                        break
                    next_sequence = int(headers["Nats-Sequence"]) + 1
                    more = headers.get("Nats-Num-Pending", "0") != "0"
                    found.append({**headers, "subject": headers["Nats-Subject"]})
                if not more:
                    return found
        finally:
            await subscription.unsubscribe()


def _into_streams(events: list[Event], streams: dict[str, list[dict[str, str]]]) -> list[Flow]:
    """Facts: each once. Snapshots: one per subject, and only of subjects somebody told of."""
    flows = []
    for stream in STREAMS:
        if stream.name not in streams or stream.name in NETS:
            continue
        own = [event for event in events if _stream_of(event) == stream]
        if stream.latest_only:
            sent = sorted({event.subject for event in own})
            kept = [headers["subject"] for headers in streams[stream.name]]
        else:
            sent = [event.event_id for event in own]
            kept = [headers.get("ce-id", "?") for headers in streams[stream.name]]
        flows.append(Flow(f"outboxes → {stream.name}", sent, kept))
    return flows


def _into_consumers(events: list[Event], taken: dict[str, list[str]]) -> list[Flow]:
    flows = []
    for consumer, ids in taken.items():
        sent = [
            event.event_id
            for event in events
            if (consumer in BY_TYPE[event.type].consumers and not event.is_passing)
            or (consumer == LEDGER and _stream_of(event).name == "CHAT")
        ]
        flows.append(Flow(f"outboxes → {consumer}", sent, ids))
    return flows


def _dead_letters(streams: dict[str, list[dict[str, str]]]) -> list[str]:
    """What a consumer buried, and what the broker gave up on before one could."""
    buried = [
        f"{headers.get('seda-dead-subject')}: {headers.get('seda-dead-reason')}"
        for headers in streams["DLQ"]
    ]
    subjects = [headers["subject"] for headers in streams["ADVISORY"]]
    return buried + [subject for subject in subjects if ".MAX_DELIVERIES." in subject]


def _stream_of(event: Event) -> Stream:
    return BY_TYPE[event.type].stream
