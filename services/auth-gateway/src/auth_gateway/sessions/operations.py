"""Open, turn, list and end sessions. Every end is told in the same transaction."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from seda_contracts.events.auth import SessionRevoked
from seda_messaging import Outbox
from seda_runtime.ids import uuid7
from sqlalchemy.ext.asyncio import AsyncSession

from auth_gateway.keys.domain import Ring, SealingKey
from auth_gateway.keys.sealing import CannotUnseal, is_current, seal, unseal
from auth_gateway.sessions import store
from auth_gateway.sessions.domain import (
    AccountSuspended,
    InvalidRefreshToken,
    RefreshToken,
    RefreshTokenReused,
    SessionEnded,
    SessionExpired,
    SessionNotFound,
    Verdict,
    is_expired,
    is_genuine,
    is_suspended,
    issue_refresh_token,
    judge,
    parse_refresh_token,
)
from auth_gateway.tables import SessionRow

KEY_BYTES = 32
USER_AGENT_LENGTH_MAX = 200
EndReason = Literal["logout", "refresh_reuse", "revoked"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionKeeping:
    """What the operations below work with."""

    outbox: Outbox
    now: Callable[[], datetime]
    sealing: Ring[SealingKey]
    idle: timedelta
    life: timedelta
    per_account_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a login or a refresh is worth: the parts of the tokens to be signed."""

    account_id: UUID
    session_id: UUID
    role: str
    perm_version: int
    logged_in_at: datetime
    refresh_token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reused:
    """A replay. Not raised: the end of the session has to be committed first."""

    session_id: UUID


async def open_session(
    tx: AsyncSession,
    keeping: SessionKeeping,
    *,
    account_id: UUID,
    standing: store.Standing,
    user_agent: str,
) -> Grant:
    """A new session; the oldest ones beyond the limit per account end. Raises AccountSuspended."""
    now = keeping.now()
    _check_not_suspended(standing, now)
    session_id, key = uuid7(), secrets.token_bytes(KEY_BYTES)
    store.add_session(
        tx,
        SessionRow(
            id=session_id,
            account_id=account_id,
            sealed_key=seal(keeping.sealing, key, row=session_id.bytes),
            counter=1,
            turned_at=now,
            created_at=now,
            last_used_at=now,
            user_agent=user_agent[:USER_AGENT_LENGTH_MAX],
        ),
    )
    await tx.flush()
    live = await list_sessions(tx, keeping, account_id=account_id)
    surplus = [row.id for row in live[keeping.per_account_max :]]
    await _end(tx, keeping, account_id, surplus, "revoked")
    return Grant(
        account_id=account_id,
        session_id=session_id,
        role=standing.role,
        perm_version=standing.perm_version,
        logged_in_at=now,
        refresh_token=issue_refresh_token(session_id, 1, key),
    )


async def refresh(tx: AsyncSession, keeping: SessionKeeping, *, text: str) -> Grant | Reused:
    """Turn the session's counter and give its successor, or the same successor again.

    Raises InvalidRefreshToken, AccountSuspended, SessionEnded or SessionExpired. A replay ends the
    session and returns Reused, so that the end is kept.
    """
    token = parse_refresh_token(text)
    row, key = await _session_of(tx, keeping, token)
    now = keeping.now()
    # The account before the session: a suspension locks them in this order too.
    standing = await store.standing(tx, row.account_id)
    _check_not_suspended(standing, now)
    match judge(token.counter, counter=row.counter, turned_at=row.turned_at, now=now):
        case Verdict.INVALID:
            raise InvalidRefreshToken
        case Verdict.REUSED:
            await _end(tx, keeping, row.account_id, [row.id], "refresh_reuse")
            return Reused(session_id=row.id)
        case Verdict.SAME:
            return _grant(standing, row, key, row.counter)
        case Verdict.NEXT:
            sealed = row.sealed_key
            if not is_current(keeping.sealing, sealed):
                sealed = seal(keeping.sealing, key, row=row.id.bytes)
            won = await store.turn(tx, row.id, presented=token.counter, now=now, sealed_key=sealed)
            if not won:
                # Somebody presented the same token first: this one is now one behind.
                row, key = await _session_of(tx, keeping, token)
                return _grant(standing, row, key, row.counter)
            return _grant(standing, row, key, token.counter + 1)


async def list_sessions(
    tx: AsyncSession, keeping: SessionKeeping, *, account_id: UUID
) -> Sequence[SessionRow]:
    now = keeping.now()
    return await store.live_sessions(
        tx, account_id, used_after=now - keeping.idle, created_after=now - keeping.life
    )


async def end_session(
    tx: AsyncSession,
    keeping: SessionKeeping,
    *,
    account_id: UUID,
    session_id: UUID,
    reason: EndReason,
) -> None:
    """Raises SessionNotFound unless the session is live and this account's own."""
    row = await store.session(tx, session_id)
    if row is None or row.account_id != account_id or row.ended_at is not None:
        raise SessionNotFound
    await _end(tx, keeping, account_id, [session_id], reason)


async def end_every_session(
    tx: AsyncSession, keeping: SessionKeeping, *, account_id: UUID
) -> Sequence[UUID]:
    """Those that ended by this. Call it under the account's lock, or a login slips in between.

    The fact that ends them all is the caller's to tell: told one by one beside it, sockets would
    close for either reason, as chance has it.
    """
    live = [row.id for row in await list_sessions(tx, keeping, account_id=account_id)]
    return await store.end(tx, live, reason="revoked", now=keeping.now())


async def _session_of(
    tx: AsyncSession, keeping: SessionKeeping, token: RefreshToken
) -> tuple[SessionRow, bytes]:
    """The live session of a genuine token, with its key.

    Genuineness comes first: whoever cannot make the mac learns nothing about the session.
    """
    row = await store.session(tx, token.session_id)
    if row is None:
        raise InvalidRefreshToken
    try:
        key = unseal(keeping.sealing, row.sealed_key, row=row.id.bytes)
    except CannotUnseal as error:
        raise SessionExpired from error
    if not is_genuine(token, key):
        raise InvalidRefreshToken
    if row.ended_at is not None:
        # A suspension has ended the session too; why it stays shut is worth more than that it is.
        _check_not_suspended(await store.standing(tx, row.account_id), keeping.now())
        raise RefreshTokenReused if row.end_reason == "refresh_reuse" else SessionEnded
    if is_expired(
        created_at=row.created_at,
        last_used_at=row.last_used_at,
        now=keeping.now(),
        idle=keeping.idle,
        life=keeping.life,
    ):
        raise SessionExpired
    return row, key


def _grant(standing: store.Standing, row: SessionRow, key: bytes, counter: int) -> Grant:
    return Grant(
        account_id=row.account_id,
        session_id=row.id,
        role=standing.role,
        perm_version=standing.perm_version,
        logged_in_at=row.created_at,
        refresh_token=issue_refresh_token(row.id, counter, key),
    )


def _check_not_suspended(standing: store.Standing, now: datetime) -> None:
    """Raises AccountSuspended."""
    if is_suspended(suspended_at=standing.suspended_at, until=standing.suspended_until, now=now):
        raise AccountSuspended


async def _end(
    tx: AsyncSession,
    keeping: SessionKeeping,
    account_id: UUID,
    session_ids: Sequence[UUID],
    reason: EndReason,
) -> None:
    """Each session that was still open ends, and its end is told once."""
    now = keeping.now()
    for session_id in await store.end(tx, session_ids, reason=reason, now=now):
        event = SessionRevoked(
            user_id=account_id, session_id=session_id, reason=reason, revoked_at=now
        )
        await keeping.outbox.add(tx, event)
