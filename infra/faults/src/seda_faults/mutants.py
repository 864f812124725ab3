"""Programs with one thing wrong, which the suite must tell from the right one.

Each mutant replaces one or two names of the libraries in a process that was asked for it
(`hook/sitecustomize.py`). A name that is not there any more is an error: a mutant that changes
nothing would let the suite pass without proving anything.
"""

import asyncio
import json
import re
import sys
from collections.abc import Callable, Coroutine, Mapping
from importlib import import_module
from typing import Any

import sqlalchemy
from sqlalchemy.ext.asyncio import AsyncSession

MUTATED = "seda-mutant:"
"""What a mutated process says, followed by the mutant's name."""


def mutate(name: str) -> None:
    """Change this process into the mutant. Raises KeyError, AttributeError and ImportError."""
    MUTANTS[name]()
    sys.stderr.write(f"{MUTATED} {name}\n")


def _replace(owner: Any, name: str, make: Callable[[Any], Any]) -> None:
    """Put `make(original)` in the place of `owner.name`. Raises AttributeError without one."""
    setattr(owner, name, make(getattr(owner, name)))


def no_inbox() -> None:
    """Every delivery is taken for the first, whatever the inbox says."""

    def make(first_delivery: Callable[..., Coroutine[Any, Any, bool]]) -> Any:
        async def always_first(tx: Any, delivery: Any) -> bool:
            await first_delivery(tx, delivery)
            return True

        return always_first

    _replace(import_module("seda_messaging.inbox"), "first_delivery", make)
    # Where services take it from.
    _replace(import_module("seda_messaging"), "first_delivery", make)


def no_sweeper() -> None:
    """What the eager publisher missed stays where it is."""

    async def never(self: Any) -> None:
        self._caught_up.set()
        await asyncio.Event().wait()

    relay = import_module("seda_messaging.relay").Relay
    _replace(relay, "_run_sweeper", lambda _: never)
    _replace(relay, "_fall_behind", lambda _: lambda self: None)


def ack_before_commit() -> None:
    """The broker forgets the message before its effect is committed."""

    def make(deliver: Callable[..., Coroutine[Any, Any, None]]) -> Any:
        async def ack_first(self: Any, message: Any) -> None:
            await message.ack()
            await self._bus.flush()
            await deliver(self, message)

        return ack_first

    _replace(import_module("seda_messaging.consumer")._Worker, "_deliver", make)


def publish_before_commit() -> None:
    """The eager publisher is told of a row when it is written, not when it is committed."""

    def make(_: Any) -> Any:
        return lambda self, tx, rows: self.offer(rows)

    _replace(import_module("seda_messaging.outbox").Outbox, "offer_after_commit", make)


def no_dedupe_id() -> None:
    """The broker cannot tell a second publication from a second event."""

    def make(publish: Callable[..., Coroutine[Any, Any, Any]]) -> Any:
        async def without_id(
            self: Any, subject: str, payload: bytes, headers: Mapping[str, str]
        ) -> Any:
            kept = {name: text for name, text in headers.items() if name != "Nats-Msg-Id"}
            return await publish(self, subject, payload, kept)

        return without_id

    _replace(import_module("seda_messaging.bus").Bus, "publish", make)


def bare_nak() -> None:
    """A message that failed comes back at once, whatever is away, as often as the broker likes."""

    def make(nak: Callable[..., Coroutine[Any, Any, None]]) -> Any:
        async def at_once(self: Any, *, delay_seconds: float = 0.0) -> None:
            await nak(self)

        return at_once

    _replace(import_module("seda_messaging.pull").Message, "nak", make)
    # The name the consumer waits for; the database's own errors stay what they are.
    _replace(import_module("seda_messaging.consumer"), "DatabaseUnavailable", lambda _: _Never)


class _Never(Exception):
    """Nobody raises it."""


def no_reconnect_handling() -> None:
    """The pull request that died with the server is waited for."""

    def make(_: Any) -> Any:
        def never_set(self: Any) -> asyncio.Event:
            return asyncio.Event()

        return never_set

    _replace(import_module("seda_messaging.bus").Bus, "reconnected", make)


def no_sequence_lock() -> None:
    """A room's number is taken in a transaction of its own, before the change it numbers."""
    rooms = import_module("chat_realtime.rooms.operations")
    sends = import_module("chat_realtime.messages.send_store")
    cards = import_module("chat_realtime.cards.store")
    log: Any = import_module("chat_realtime.log.store")
    _replace(rooms, "lock_standing", lambda _: rooms.standing_of)
    _replace(sends, "locks_sql", lambda _: _lock_nothing)
    _replace(cards, "lock_rooms_with_link", lambda _: _rooms_with_link)
    locked = log._APPEND
    taken, found = re.subn(
        r"UPDATE chat\.room.*?acl_epoch\s+\), written",
        "SELECT id, CAST(CAST(current_setting('mutant.seqs') AS jsonb) ->> CAST(id AS text) "
        "AS bigint) - added.count AS seq_before, epoch, acl_epoch "
        "FROM chat.room JOIN added ON added.room_id = id), written",
        locked.text,
        flags=re.DOTALL,
    )
    if not found:
        raise AttributeError("the room log takes its numbers in another way")

    def make(append: Callable[..., Coroutine[Any, Any, Any]]) -> Any:
        async def number_first(tx: Any, changes: Any, **how: Any) -> Any:
            seqs = await _take_numbers(tx, {room: len(each) for room, each in changes.items()})
            # A room that is being made is nobody else's yet.
            log._APPEND = sqlalchemy.text(taken) if seqs else locked
            return await append(tx, changes, **how)

        return number_first

    _replace(log, "append", make)


async def _take_numbers(tx: Any, counts: Mapping[Any, int]) -> dict[str, int]:
    """The last number taken in each room that is there for others too."""
    taking = sqlalchemy.text(
        "UPDATE chat.room SET last_seq = last_seq + :count WHERE id = :room_id RETURNING last_seq"
    )
    seqs: dict[str, int] = {}
    async with AsyncSession(tx.bind) as own:
        for room_id, count in counts.items():
            seq: int | None = await own.scalar(taking, {"count": count, "room_id": room_id})
            await own.commit()
            if seq is not None:
                seqs[str(room_id)] = seq
    await tx.execute(
        sqlalchemy.text("SELECT set_config('mutant.seqs', :seqs, true)"),
        {"seqs": json.dumps(seqs)},
    )
    return seqs


def _lock_nothing(*_: Any) -> str:
    return "SELECT 1"


async def _rooms_with_link(tx: Any, link_id: Any) -> Any:
    query = sqlalchemy.text(
        "SELECT DISTINCT room_id FROM chat.message_link WHERE link_id = :link_id"
    )
    return list((await tx.execute(query, {"link_id": link_id})).scalars())


def deaf_to_rights() -> None:
    """An event of a newer rights epoch goes to everybody who listened before it."""

    def make(hear: Callable[..., None]) -> Any:
        def hear_on(self: Any, feed: Any, glance: Any, payload: bytes) -> None:
            feed.acl = max(feed.acl, glance.acl)
            hear(self, feed, glance, payload)

        return hear_on

    _replace(import_module("chat_realtime.live.feed").Feeds, "_hear_event", make)


def no_lease() -> None:
    """A process that fell silent is believed in for ever."""
    board = import_module("chat_realtime.presence.board").Board
    _replace(board, "_expire", lambda _: lambda self: None)


def no_replay() -> None:
    """Whoever comes back with a cursor hears the room from now on."""

    def make(begin: Callable[..., Coroutine[Any, Any, Any]]) -> Any:
        async def as_new(hall: Any, principal: Any, room: Any, cursor: Any) -> Any:
            del cursor
            return await begin(hall, principal, room, None)

        return as_new

    _replace(import_module("chat_realtime.live.joining"), "begin", make)


MUTANTS: dict[str, Callable[[], None]] = {
    mutant.__name__: mutant
    for mutant in (
        no_inbox,
        no_sweeper,
        ack_before_commit,
        publish_before_commit,
        no_dedupe_id,
        bare_nak,
        no_reconnect_handling,
        no_sequence_lock,
        deaf_to_rights,
        no_lease,
        no_replay,
    )
}
