"""One short connection to NATS: as the user `ops` to look, as `operator` to mend.

A refused permission reaches a client beside its connection and looks like silence to whoever waits
for an answer. Here both are waited for at once, so that the reason is printed and not a time-out.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec
import nkeys
from nats.aio.client import Client
from nats.errors import AuthorizationError, NoRespondersError, SlowConsumerError
from nats.errors import Error as NatsError
from nats.js.errors import APIError
from seda_contracts.permissions import OPERATOR, OPS, seed_variable

from seda_cli.failure import CommandFailed
from seda_cli.platform import Target
from seda_cli.terminal import complain

T = TypeVar("T")
CONNECT_SECONDS_MAX = 3
ANSWER_SECONDS_MAX = 5.0
REFUSED = "permissions violation"


class CredentialRefused(Exception):
    """The server does not know this key, or the key belongs to another user."""


class PermissionRefused(CommandFailed):
    """The user is known and may not do this."""


class Broker:
    """A connection, the user it belongs to, and what the server has refused it."""

    def __init__(self, url: str, user: str) -> None:
        self.url = url
        self.user = user
        self.client = Client()
        self._survives = False
        self._has_dropped = False
        self._refusals: asyncio.Queue[str] = asyncio.Queue()

    async def connect(self, seed: str | None) -> None:
        """Raises CredentialRefused, and CommandFailed when nobody answers."""
        try:
            await self.client.connect(
                self.url,
                name=f"seda-cli-{self.user}",
                inbox_prefix=f"_INBOX_{self.user}".encode(),
                nkeys_seed_str=seed,
                error_cb=self._on_error,
                disconnected_cb=self._on_disconnect,
                reconnected_cb=self._on_reconnect,
                connect_timeout=CONNECT_SECONDS_MAX,
                max_reconnect_attempts=1,
                reconnect_time_wait=1,
                allow_reconnect=False,
            )
            # Where the broker knows users, a key says who one is; only that one has this inbox.
            subscription = await self.client.subscribe(f"_INBOX_{self.user}.own")
            await self.flush()
            await subscription.unsubscribe()
        except (AuthorizationError, PermissionRefused) as error:
            raise CredentialRefused from error
        except (TimeoutError, OSError, ValueError, NatsError) as error:
            if "authorization violation" in str(error).lower():
                raise CredentialRefused from error
            raise CommandFailed(
                f"no NATS answers at {shown(self.url)}: is it running? "
                "Start a platform by `make run DETACH=1`, or set NATS_URL"
            ) from error

    def survive_restarts(self) -> None:
        """Come back when the server does. Not before the first connection: that one fails fast."""
        self.client.options |= {"allow_reconnect": True, "max_reconnect_attempts": -1}
        self._survives = True

    async def close(self) -> None:
        self._survives = False
        await self.client.close()

    async def flush(self) -> None:
        """Return when the server has seen all that was said. Raises CommandFailed for a refusal."""
        # The client's PING overtakes what it has buffered: only the second comes behind it.
        await self.client.flush()
        await self.client.flush()
        if not self._refusals.empty():
            raise self._refused(self._refusals.get_nowait())

    async def answer(self, work: Awaitable[T]) -> T:
        """What the server answers. Raises CommandFailed for a refusal or for silence."""
        asking = asyncio.ensure_future(work)
        refused = asyncio.ensure_future(self._refusals.get())
        try:
            await asyncio.wait({asking, refused}, return_when=asyncio.FIRST_COMPLETED)
            if refused.done() and not asking.done():
                raise self._refused(refused.result())
            return await asking
        except NoRespondersError as error:
            raise CommandFailed(f"NATS at {shown(self.url)} runs without JetStream") from error
        except APIError as error:
            raise CommandFailed(f"NATS refused it: {error.description}") from error
        except (TimeoutError, OSError, NatsError) as error:
            raise CommandFailed(
                f"NATS at {shown(self.url)} did not answer ({type(error).__name__}): try again"
            ) from error
        finally:
            for task in (asking, refused):
                task.cancel()
            await asyncio.gather(asking, refused, return_exceptions=True)

    async def api(self, verb: str, request: Any = None) -> dict[str, Any] | None:
        """JetStream's answer; None when what was asked about does not exist."""
        payload = b"" if request is None else msgspec.json.encode(request)
        asking = self.client.request(f"$JS.API.{verb}", payload, timeout=ANSWER_SECONDS_MAX)
        found: dict[str, Any] = msgspec.json.decode((await self.answer(asking)).data)
        error = found.get("error")
        if error is None:
            return found
        if error.get("code") == 404:
            return None
        raise CommandFailed(f"NATS refused {verb}: {error.get('description')}")

    def _refused(self, detail: str) -> PermissionRefused:
        return PermissionRefused(
            f"NATS refuses this to `{self.user}` ({detail}); "
            "are its permissions those of infra/nats/permissions.conf?"
        )

    async def _on_error(self, error: Exception) -> None:
        if REFUSED in str(error).lower():
            self._refusals.put_nowait(str(error).removeprefix("nats: "))
        elif isinstance(error, SlowConsumerError) and not self._has_dropped:
            self._has_dropped = True
            complain("events come faster than they can be shown: some are left out")

    async def _on_disconnect(self) -> None:
        if self._survives:
            complain("NATS is away; waiting for it")

    async def _on_reconnect(self) -> None:
        complain("NATS is back; what was said meanwhile is shown by --since")


@asynccontextmanager
async def open_broker(target: Target, user: str = OPS) -> AsyncIterator[Broker]:
    """Connected as `user`. Whoever may mend may look too, so its seed serves for both.

    Raises CommandFailed.
    """
    for candidate in dict.fromkeys((user, OPERATOR)):
        seed = target.seed or target.seeds.get(candidate)
        if seed is None and candidate != user:
            continue
        broker = Broker(target.nats_url, candidate)
        try:
            await broker.connect(_checked(seed))
        except CredentialRefused:
            await broker.close()
            continue
        try:
            yield broker
        finally:
            await broker.close()
        return
    raise CommandFailed(_refusal(target, user))


def _refusal(target: Target, user: str) -> str:
    what = "refused the credential" if target.seed or target.seeds else "wants the credential"
    return f"NATS {what} of `{user}`: set NATS_NKEY_SEED or {seed_variable(user)} to its seed"


def _checked(seed: str | None) -> str | None:
    if seed is not None:
        try:
            nkeys.from_seed(bytearray(seed.encode()))
        except (nkeys.NkeysError, ValueError) as error:
            raise CommandFailed(
                "the seed for NATS is no seed: one begins with SU and has 58 characters"
            ) from error
    return seed


def shown(url: str) -> str:
    """The address without the password somebody may have put in it."""
    try:
        parts = urlsplit(url)
        return f"{parts.hostname or 'that address'}:{parts.port or 4222}"
    except ValueError:
        return "that address"
