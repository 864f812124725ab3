"""Facts of other services that change chat: cards of links, cards of people, ended sessions,
roles, suspended accounts.
"""

from collections.abc import Awaitable, Callable
from functools import partial

from seda_contracts.events.artist import ArtistState
from seda_contracts.events.auth import (
    AccountRestored,
    AccountSuspended,
    BotCreated,
    RoleChanged,
    SessionRevoked,
)
from seda_contracts.events.unfurl import LinkUnresolvable, TrackResolved
from seda_contracts.events.user import BlockChanged, UserState
from seda_db import Database
from seda_messaging import Delivery, Subscription, first_delivery

from chat_realtime.cards import operations as cards
from chat_realtime.live import operations as live
from chat_realtime.log.operations import Recording
from chat_realtime.people import operations as people


async def on_track_resolved(
    event: TrackResolved, delivery: Delivery, *, db: Database, recording: Recording
) -> None:
    async with db.begin() as tx:
        if await first_delivery(tx, delivery):
            await cards.attach_card(tx, recording, event)


async def on_link_unresolvable(
    event: LinkUnresolvable, delivery: Delivery, *, db: Database, recording: Recording
) -> None:
    async with db.begin() as tx:
        if not event.retryable and await first_delivery(tx, delivery):
            await cards.give_up_link(tx, recording, event)


async def on_user_state(
    state: UserState, _: Delivery, *, db: Database, recording: Recording
) -> None:
    """No inbox: the version decides, whatever comes twice or late."""
    async with db.begin() as tx:
        await people.apply_user_state(tx, recording.signals, state)


async def on_block_changed(
    event: BlockChanged, _: Delivery, *, db: Database, recording: Recording
) -> None:
    """No inbox: the version decides."""
    async with db.begin() as tx:
        await people.apply_block(tx, event)


async def on_bot_created(
    event: BotCreated, _: Delivery, *, db: Database, recording: Recording
) -> None:
    """No inbox: what is a bot stays one."""
    async with db.begin() as tx:
        await people.apply_bot(tx, recording.signals, event)


async def on_artist_state(
    state: ArtistState, _: Delivery, *, db: Database, recording: Recording
) -> None:
    async with db.begin() as tx:
        await people.apply_artist_state(tx, recording.signals, state)


async def on_session_revoked(
    event: SessionRevoked, _: Delivery, *, db: Database, recording: Recording
) -> None:
    """Telling the sockets again is harmless, and mends a signal that was lost."""
    async with db.begin() as tx:
        await live.end_session(tx, recording.signals, event, now=recording.now())


async def on_role_changed(
    event: RoleChanged, _: Delivery, *, db: Database, recording: Recording
) -> None:
    """No inbox: the version decides."""
    async with db.begin() as tx:
        await live.change_role(tx, recording.signals, event, now=recording.now())


async def on_account_suspended(
    event: AccountSuspended, _: Delivery, *, db: Database, recording: Recording
) -> None:
    """No inbox: the version decides, and telling the sockets again is harmless."""
    async with db.begin() as tx:
        await live.suspend(tx, recording.signals, event, now=recording.now())


async def on_account_restored(
    event: AccountRestored, _: Delivery, *, db: Database, recording: Recording
) -> None:
    async with db.begin() as tx:
        await live.restore(tx, event, now=recording.now())


def subscriptions(db: Database, recording: Recording) -> tuple[Subscription, ...]:
    def with_parts(handler: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        return partial(handler, db=db, recording=recording)

    cards_of, people_of, sessions_of, blocks_of, bots_of = (
        f"chat-realtime.{purpose}" for purpose in ("cards", "people", "sessions", "blocks", "bots")
    )
    return (
        Subscription(TrackResolved, with_parts(on_track_resolved), consumer=cards_of),
        Subscription(LinkUnresolvable, with_parts(on_link_unresolvable), consumer=cards_of),
        Subscription(UserState, with_parts(on_user_state), consumer=people_of),
        Subscription(ArtistState, with_parts(on_artist_state), consumer=people_of),
        Subscription(BlockChanged, with_parts(on_block_changed), consumer=blocks_of),
        Subscription(BotCreated, with_parts(on_bot_created), consumer=bots_of),
        Subscription(SessionRevoked, with_parts(on_session_revoked), consumer=sessions_of),
        Subscription(RoleChanged, with_parts(on_role_changed), consumer=sessions_of),
        Subscription(AccountSuspended, with_parts(on_account_suspended), consumer=sessions_of),
        Subscription(AccountRestored, with_parts(on_account_restored), consumer=sessions_of),
    )
