"""Work and facts from chat: links to resolve, messages and reactions to count."""

from functools import partial

from seda_contracts.events.chat import (
    MessageDeleted,
    MessageEdited,
    MessageSent,
    ReactionAdded,
    ReactionRemoved,
)
from seda_contracts.events.unfurl import UnfurlResolve, UnresolvableReason
from seda_db import Database
from seda_messaging import Delivery, Subscription, first_delivery

from track_unfurl.charts import operations as chart_operations
from track_unfurl.links.domain import InvalidUrl, UnsupportedUrl
from track_unfurl.tables import TrackRef
from track_unfurl.tracks import operations
from track_unfurl.tracks.domain import LinkUnreachable, RefusedUrl
from track_unfurl.tracks.resolution import Resolving, unfurl

RESOLVE_CONCURRENCY = 16
WAIT_MARGIN_SECONDS = 1.0
"""Beyond the fetch itself, so that its result is what the link is settled with."""


async def on_unfurl_resolve(
    command: UnfurlResolve, delivery: Delivery, *, resolving: Resolving
) -> None:
    """Resolve first, outside any transaction; a second delivery finds the cache and then its mark.

    A worker killed in between has changed nothing that the next attempt would not do again.
    """
    answer = await _resolve(resolving, command.url)
    async with resolving.db.begin() as tx:
        if await first_delivery(tx, delivery):
            await operations.settle_link(tx, resolving.tracks, command.url, answer)


async def _resolve(resolving: Resolving, url: str) -> TrackRef | UnresolvableReason:
    budget_seconds = resolving.fetch_seconds + WAIT_MARGIN_SECONDS
    try:
        found = await unfurl(resolving, url, budget_seconds=budget_seconds, tell_later=False)
    except (InvalidUrl, UnsupportedUrl):
        return "unsupported"
    except RefusedUrl:
        return "refused"
    except LinkUnreachable:
        return "unreachable"
    return found.track


async def on_message(
    event: MessageSent | MessageEdited, delivery: Delivery, *, db: Database
) -> None:
    async with db.begin() as tx:
        if await first_delivery(tx, delivery):
            await chart_operations.note_message(tx, event)


async def on_message_deleted(event: MessageDeleted, delivery: Delivery, *, db: Database) -> None:
    async with db.begin() as tx:
        if await first_delivery(tx, delivery):
            await chart_operations.forget_message(tx, event)


async def on_reaction(
    event: ReactionAdded | ReactionRemoved, delivery: Delivery, *, db: Database
) -> None:
    async with db.begin() as tx:
        if await first_delivery(tx, delivery):
            await chart_operations.note_reaction(tx, event)


def subscriptions(db: Database, *, resolving: Resolving) -> tuple[Subscription, ...]:
    shares = "track-unfurl.shares"
    return (
        Subscription(
            UnfurlResolve,
            partial(on_unfurl_resolve, resolving=resolving),
            consumer="track-unfurl.links",
            concurrency=RESOLVE_CONCURRENCY,
        ),
        Subscription(MessageSent, partial(on_message, db=db), consumer=shares),
        Subscription(MessageEdited, partial(on_message, db=db), consumer=shares),
        Subscription(MessageDeleted, partial(on_message_deleted, db=db), consumer=shares),
        Subscription(ReactionAdded, partial(on_reaction, db=db), consumer=shares),
        Subscription(ReactionRemoved, partial(on_reaction, db=db), consumer=shares),
    )
