"""Facts of other services that change profiles: a registration makes one, an approval marks one."""

from functools import partial

from seda_contracts.events.auth import AccountRegistered, BotCreated
from seda_contracts.events.verification import VerificationApproved
from seda_db import Database
from seda_messaging import Delivery, PermanentFailure, Subscription, first_delivery

from user_artist.artists import operations as artist_operations
from user_artist.artists.domain import ArtistNotFound
from user_artist.artists.operations import Artists
from user_artist.users import operations as user_operations
from user_artist.users.operations import Profiles


async def on_account_registered(
    event: AccountRegistered, delivery: Delivery, *, db: Database, profiles: Profiles
) -> None:
    async with db.begin() as tx:
        if await first_delivery(tx, delivery):
            await user_operations.create_profile(
                tx, profiles, event.user_id, display_name=event.display_name
            )


async def on_bot_created(
    event: BotCreated, delivery: Delivery, *, db: Database, profiles: Profiles
) -> None:
    async with db.begin() as tx:
        if await first_delivery(tx, delivery):
            await user_operations.create_profile(
                tx, profiles, event.user_id, display_name=event.display_name
            )


async def on_verification_approved(
    event: VerificationApproved, delivery: Delivery, *, db: Database, artists: Artists
) -> None:
    """An approval for an artist that is not here, or not this person's, will never fit."""
    try:
        async with db.begin() as tx:
            if await first_delivery(tx, delivery):
                await artist_operations.apply_verification(tx, artists, event)
    except ArtistNotFound as error:
        raise PermanentFailure("the approval names no artist of this person") from error


def subscriptions(
    db: Database, *, profiles: Profiles, artists: Artists
) -> tuple[Subscription, ...]:
    return (
        Subscription(
            AccountRegistered,
            partial(on_account_registered, db=db, profiles=profiles),
            consumer="user-artist.accounts",
        ),
        Subscription(
            BotCreated,
            partial(on_bot_created, db=db, profiles=profiles),
            consumer="user-artist.accounts",
        ),
        Subscription(
            VerificationApproved,
            partial(on_verification_approved, db=db, artists=artists),
            consumer="user-artist.badges",
        ),
    )
