"""The gateway hears its own events: what one process ended, the bucket tells all others.

Going through the outbox instead of writing the bucket after the commit means that no crash between
the two leaves a revoked session alive elsewhere.
"""

from functools import partial

from seda_contracts.events.auth import (
    AccountRestored,
    AccountSuspended,
    RoleChanged,
    SessionRevoked,
)
from seda_messaging import Delivery, Subscription

from auth_gateway.sessions.revocation import Revocations

CONSUMER = "auth-gateway.revocations"


def subscriptions(revocations: Revocations) -> tuple[Subscription, ...]:
    """All set a key to what it would be anyway, so a second delivery changes nothing."""
    return (
        Subscription(
            SessionRevoked,
            partial(on_session_revoked, revocations=revocations),
            consumer=CONSUMER,
        ),
        Subscription(
            RoleChanged, partial(on_role_changed, revocations=revocations), consumer=CONSUMER
        ),
        Subscription(
            AccountSuspended,
            partial(on_account_suspended, revocations=revocations),
            consumer=CONSUMER,
        ),
        Subscription(
            AccountRestored,
            partial(on_account_restored, revocations=revocations),
            consumer=CONSUMER,
        ),
    )


async def on_session_revoked(
    event: SessionRevoked, delivery: Delivery, *, revocations: Revocations
) -> None:
    del delivery
    await revocations.publish_session(event.session_id, at=int(event.revoked_at.timestamp()))


async def on_role_changed(
    event: RoleChanged, delivery: Delivery, *, revocations: Revocations
) -> None:
    del delivery
    await revocations.publish_role(
        event.user_id, at=int(event.changed_at.timestamp()), perm_version=event.perm_version
    )


async def on_account_suspended(
    event: AccountSuspended, delivery: Delivery, *, revocations: Revocations
) -> None:
    del delivery
    await revocations.publish_role(
        event.user_id, at=int(event.suspended_at.timestamp()), perm_version=event.perm_version
    )


async def on_account_restored(
    event: AccountRestored, delivery: Delivery, *, revocations: Revocations
) -> None:
    del delivery
    await revocations.publish_role(
        event.user_id, at=int(event.restored_at.timestamp()), perm_version=event.perm_version
    )
