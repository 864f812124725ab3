"""Who may open a socket, and when that ends: tickets, tokens and revoked sessions."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from seda_contracts.events.auth import (
    AccountRestored,
    AccountSuspended,
    RoleChanged,
    SessionRevoked,
)
from seda_contracts.live import room_subject, user_subject
from seda_contracts.realtime import EphemeralFrame, Hello
from seda_db import Database
from seda_identity import Principal, Role
from seda_identity.identity import scopes_of
from seda_identity.tokens import InvalidToken, JwksCache, TokenVerifier
from seda_runtime.clock import Clock
from sqlalchemy.ext.asyncio import AsyncSession

from chat_realtime.live import domain, store
from chat_realtime.live.domain import (
    RoleChangedNotice,
    SessionEnded,
    SessionRevokedNotice,
    SuspendedNotice,
    TicketRefused,
)
from chat_realtime.live.together import Together
from chat_realtime.log.operations import Recording
from chat_realtime.rooms.operations import standing_of
from chat_realtime.signals import Signals

ISSUER = "seda-gateway"
HINTS_KEPT_MAX = 10_000
HINT_SECONDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """What verifies those who knock."""

    tickets: TokenVerifier
    tokens: TokenVerifier
    now: Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    principal: Principal
    expires_at: datetime | None
    """When a token ends. A ticket is short and one-use: its socket lasts as long as its session."""


def make_door(gateway_url: str, *, now: Clock) -> Door:
    keys = JwksCache(f"{gateway_url.rstrip('/')}/.well-known/jwks.json")
    # A socket shows its ticket or token once; its claims would be much of its memory.
    return Door(
        tickets=TokenVerifier(
            keys,
            issuer=ISSUER,
            audience="chat-realtime",
            token_type="seda-ticket+jwt",
            remembered_max=0,
        ),
        tokens=TokenVerifier(
            keys, issuer=ISSUER, audience="seda-api", token_type="at+jwt", remembered_max=0
        ),
        now=now,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Knock:
    """Somebody whose credential is genuine, and who has yet to be found in no list of the ended."""

    principal: Principal
    ticket_id: str | None
    expires_at: datetime


Knocks = Together[Knock, None]


async def admit(knocks: Knocks, door: Door, hello: Hello) -> Admitted:
    """Raises InvalidToken or TokenExpired, TicketRefused, SessionEnded, PersonSuspended or
    KeysUnavailable; and what `Together.ask` raises.
    """
    if hello.ticket is not None:
        claims = await door.tickets.verify(hello.ticket)
    else:
        claims = await door.tokens.verify(hello.token or "")
    principal = _principal(claims)
    expires_at = datetime.fromtimestamp(claims["exp"], UTC)
    ticket_id = None
    if hello.ticket is not None:
        ticket_id = claims.get("jti")
        if not isinstance(ticket_id, str) or not ticket_id:
            raise TicketRefused
    await knocks.ask(Knock(principal=principal, ticket_id=ticket_id, expires_at=expires_at))
    if hello.ticket is not None:
        # Its own end is only about the hello; a key's end, where it tells one, ends the socket.
        until = principal.expires_at
        return Admitted(
            principal=principal,
            expires_at=None if until is None else datetime.fromtimestamp(until, UTC),
        )
    return Admitted(principal=principal, expires_at=expires_at)


async def judge(db: Database, door: Door, knocks: Sequence[Knock]) -> list[Exception | None]:
    """What keeps each of them out, if anything does. Uses up the tickets of the others."""
    verdicts: list[Exception | None] = []
    async with db.begin() as tx:
        sessions = [knock.principal.session_id for knock in knocks]
        revoked = await store.revoked_among(tx, [each for each in sessions if each is not None])
        user_ids = {knock.principal.require_user() for knock in knocks}
        newest = await store.perm_versions(tx, list(user_ids))
        suspended = await store.suspended_among(tx, list(user_ids), now=door.now())
        for knock in knocks:
            principal = knock.principal
            if principal.require_user() in suspended:
                verdicts.append(domain.PersonSuspended())
            elif principal.session_id in revoked:
                verdicts.append(SessionEnded())
            elif principal.perm_version < newest.get(principal.require_user(), 0):
                verdicts.append(InvalidToken("the role has changed since"))
            else:
                verdicts.append(None)
        unused = await store.use_tickets(
            tx,
            {
                knock.ticket_id: knock.expires_at
                for knock, verdict in zip(knocks, verdicts, strict=True)
                if verdict is None and knock.ticket_id is not None
            },
        )
    for place, knock in enumerate(knocks):
        if verdicts[place] is not None or knock.ticket_id is None:
            continue
        if knock.ticket_id in unused:
            unused.discard(knock.ticket_id)  # the same ticket twice at once lets in the first
        else:
            verdicts[place] = TicketRefused()
    return verdicts


async def readmit(knocks: Knocks, door: Door, principal: Principal, token: str) -> Admitted:
    """A newer token for an open socket. It must be the same person's."""
    admitted = await admit(knocks, door, Hello(token=token))
    if admitted.principal.user_id != principal.user_id:
        raise InvalidToken("somebody else's token")
    return admitted


class Hints:
    """When people were last said to be typing by HTTP: in this process, and of the latest."""

    def __init__(self) -> None:
        self._at: OrderedDict[tuple[UUID, UUID], datetime] = OrderedDict()

    def take(self, user_id: UUID, room_id: UUID, *, now: datetime) -> bool:
        """False when one was given moments ago; that hint is worth nothing."""
        last = self._at.pop((user_id, room_id), None)
        is_due = last is None or (now - last).total_seconds() >= HINT_SECONDS
        self._at[user_id, room_id] = now if last is None or is_due else last
        if len(self._at) > HINTS_KEPT_MAX:
            self._at.popitem(last=False)
        return is_due


async def hint_typing(
    tx: AsyncSession, recording: Recording, hints: Hints, principal: Principal, room_id: UUID
) -> None:
    """Raises RoomNotFound, NotMember or Banned."""
    now = recording.now()
    (await standing_of(tx, room_id, principal)).check_member(now)
    user_id = principal.require_user()
    if hints.take(user_id, room_id, now=now):
        tell_typing(recording.signals, room_id, user_id)


def tell_typing(signals: Signals, room_id: UUID, user_id: UUID) -> None:
    """To everyone who listens now, on every process."""
    frame = EphemeralFrame(room=room_id, t="typing", d={"user_id": user_id})
    signals.publish(room_subject(room_id), msgspec.json.encode(frame))


async def end_session(
    tx: AsyncSession, signals: Signals, event: SessionRevoked, *, now: datetime
) -> None:
    """Refuse the session from now on, and close its sockets on every process."""
    await store.revoke_session(tx, event.session_id, now=now)
    notice = SessionRevokedNotice(user_id=event.user_id, session_id=event.session_id)
    signals.stage(tx, user_subject(event.user_id), msgspec.json.encode(notice))


async def change_role(
    tx: AsyncSession, signals: Signals, event: RoleChanged, *, now: datetime
) -> None:
    """Sockets opened under the old role are closed on every process, and none is opened again.

    The session goes on: its client refreshes, asks for a new ticket and resumes.
    """
    await store.put_role_change(tx, event.user_id, perm_version=event.perm_version, now=now)
    notice = RoleChangedNotice(user_id=event.user_id, perm_version=event.perm_version)
    signals.stage(tx, user_subject(event.user_id), msgspec.json.encode(notice))


async def suspend(
    tx: AsyncSession, signals: Signals, event: AccountSuspended, *, now: datetime
) -> None:
    """Close every socket of the person on every process, and open none."""
    await store.put_role_change(tx, event.user_id, perm_version=event.perm_version, now=now)
    if await store.put_suspension(
        tx,
        event.user_id,
        perm_version=event.perm_version,
        is_suspended=True,
        until=event.until,
        now=now,
    ):
        notice = SuspendedNotice(user_id=event.user_id, perm_version=event.perm_version)
        signals.stage(tx, user_subject(event.user_id), msgspec.json.encode(notice))


async def restore(tx: AsyncSession, event: AccountRestored, *, now: datetime) -> None:
    """Admit the person again, with tokens made after this."""
    await store.put_role_change(tx, event.user_id, perm_version=event.perm_version, now=now)
    await store.put_suspension(
        tx,
        event.user_id,
        perm_version=event.perm_version,
        is_suspended=False,
        until=None,
        now=now,
    )


def _principal(claims: dict[str, Any]) -> Principal:
    try:
        return Principal(
            user_id=UUID(claims["sub"]),
            session_id=UUID(claims["sid"]),
            role=Role[claims.get("role", "USER")],
            aal=int(claims.get("aal", 1)),
            perm_version=int(claims.get("perm_v", 0)),
            expires_at=int(claims["until"]) if "until" in claims else None,
            scopes=scopes_of(claims),
        )
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise InvalidToken("it names no person soundly") from error
