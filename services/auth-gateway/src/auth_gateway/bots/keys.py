"""From a presented key to a principal: the database is asked at most once in five seconds a key.

Only keys that were good are remembered, so made-up ones push none of them out.
"""

import time
from collections import OrderedDict
from uuid import UUID

from seda_db import Database
from seda_identity import Principal, Role
from seda_runtime.clock import Clock

from auth_gateway.bots import store
from auth_gateway.bots.domain import InvalidKey, Presented, is_genuine, parse_key
from auth_gateway.bots.store import Held
from auth_gateway.sessions.revocation import Revocations

BELIEVED_SECONDS = 5.0
KEYS_KEPT_MAX = 10_000


class ApiKeys:
    """Verifies keys. What the database said is believed for a moment, a revocation at once."""

    def __init__(self, db: Database, revocations: Revocations, *, now: Clock) -> None:
        self._db = db
        self._revocations = revocations
        self._now = now
        self._known: OrderedDict[UUID, tuple[float, Held]] = OrderedDict()

    def is_strange(self, text: str) -> bool:
        """Whether it was not good lately, so only the database knows. Raises InvalidKey."""
        return parse_key(text).key_id not in self._known

    async def principal(self, text: str) -> Principal:
        """Raises InvalidKey or DatabaseUnavailable."""
        presented = parse_key(text)
        held = await self._held(presented)
        if held.expires_at is not None and held.expires_at <= self._now():
            raise InvalidKey
        if self._revocations.is_revoked(
            session_id=presented.key_id, account_id=held.bot_id, perm_version=held.perm_version
        ):
            # Of an account that was restored a moment ago the next look knows the new version.
            self._known.pop(presented.key_id, None)
            raise InvalidKey
        return Principal(
            user_id=held.bot_id,
            session_id=presented.key_id,
            role=Role.USER,
            aal=1,
            perm_version=held.perm_version,
            expires_at=None if held.expires_at is None else int(held.expires_at.timestamp()),
            scopes=held.scopes,
        )

    async def _held(self, presented: Presented) -> Held:
        """Raises InvalidKey."""
        key_id = presented.key_id
        known = self._known.get(key_id)
        if known is not None:
            # The secret of a key never changes, so a wrong one needs no look.
            _check_genuine(presented, known[1])
            if time.monotonic() - known[0] < BELIEVED_SECONDS:
                return known[1]
        asked_at, now = time.monotonic(), self._now()
        async with self._db.begin() as tx:
            held = await store.held(tx, key_id, now=now)
            if held is None:
                self._known.pop(key_id, None)
                raise InvalidKey
            _check_genuine(presented, held)
            if held.last_used_on != now.date():
                await store.mark_used(tx, key_id, on=now.date())
        self._known[key_id] = (asked_at, held)
        self._known.move_to_end(key_id)
        if len(self._known) > KEYS_KEPT_MAX:
            self._known.popitem(last=False)
        return held


def _check_genuine(presented: Presented, held: Held) -> None:
    """Raises InvalidKey."""
    if not is_genuine(presented, held.secret_hash):
        raise InvalidKey
