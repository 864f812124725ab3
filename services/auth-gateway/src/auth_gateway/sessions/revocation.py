"""Which access tokens are refused before their time, known without asking anybody.

The bucket `auth_revoked` holds a key per ended session and a key per account whose role changed.
Every gateway keeps it in memory; an entry may go when the tokens it stops have expired.
"""

import time
from uuid import UUID

import msgspec
from seda_messaging import Bus, KeyValueMirror

BUCKET = "auth_revoked"
MARGIN_SECONDS = 60
"""Clock leeway of verifiers, and some."""
PRUNE_SECONDS = 60.0


class RevocationsStale(Exception):
    """NATS has been away for so long that a dropped admin might still look like one."""

    retry_after_seconds = 5


class Revoked(msgspec.Struct, frozen=True, kw_only=True):
    """An entry. For an account, tokens below `perm_version` are refused; for a session, all."""

    at: int
    perm_version: int = 0


class Revocations:
    """The bucket in memory, and how fresh it is."""

    def __init__(self, bus: Bus, *, ttl_seconds: int, staleness_seconds_max: int) -> None:
        self._bus = bus
        self._staleness_seconds_max = staleness_seconds_max
        self._keep_seconds = ttl_seconds + MARGIN_SECONDS
        self._mirror = KeyValueMirror(bus, BUCKET)
        self._connected_at = time.monotonic()
        self._pruned_at = time.monotonic()
        self._is_open = False

    async def open(self) -> None:
        await self._mirror.open()
        self._is_open = True

    async def close(self) -> None:
        await self._mirror.close()

    async def ready(self) -> bool:
        return self._is_open

    def remember_session(self, session_id: UUID, *, at: int) -> None:
        """At once in this process; the consumer tells the others."""
        self._mirror.values[str(session_id)] = msgspec.json.encode(Revoked(at=at))

    def remember_role(self, account_id: UUID, *, at: int, perm_version: int) -> None:
        entry = Revoked(at=at, perm_version=perm_version)
        self._mirror.values[str(account_id)] = msgspec.json.encode(entry)

    async def publish_session(self, session_id: UUID, *, at: int) -> None:
        """Into the bucket, for every process. Raises BusUnavailable."""
        await self._mirror.put(str(session_id), msgspec.json.encode(Revoked(at=at)))

    async def publish_role(self, account_id: UUID, *, at: int, perm_version: int) -> None:
        """Raises BusUnavailable. A late older change does not undo a newer one."""
        held = self._entry(str(account_id))
        if held is not None and held.perm_version >= perm_version:
            perm_version, at = held.perm_version, held.at
        entry = Revoked(at=at, perm_version=perm_version)
        await self._mirror.put(str(account_id), msgspec.json.encode(entry))

    def is_revoked(self, *, session_id: UUID, account_id: UUID, perm_version: int) -> bool:
        """Two look-ups in a dictionary for a token that is fine."""
        self._prune()
        if str(session_id) in self._mirror.values:
            return True
        entry = self._entry(str(account_id))
        return entry is not None and perm_version < entry.perm_version

    def check_fresh(self) -> None:
        """Raises RevocationsStale when the bucket has been out of reach for too long."""
        moment = time.monotonic()
        if self._bus.is_connected:
            self._connected_at = moment
        elif moment - self._connected_at > self._staleness_seconds_max:
            raise RevocationsStale

    def _entry(self, key: str) -> Revoked | None:
        value = self._mirror.values.get(key)
        return None if value is None else msgspec.json.decode(value, type=Revoked)

    def _prune(self) -> None:
        """The broker forgets by age without telling watchers, so memory is swept here."""
        moment = time.monotonic()
        if moment - self._pruned_at < PRUNE_SECONDS:
            return
        self._pruned_at = moment
        oldest = time.time() - self._keep_seconds
        for key in list(self._mirror.values):
            entry = self._entry(key)
            if entry is not None and entry.at < oldest:
                del self._mirror.values[key]
