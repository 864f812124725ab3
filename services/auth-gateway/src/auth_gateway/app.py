"""The composition root: every long-lived part of the gateway is made here, and closed here."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial

from litestar import Litestar
from litestar.di import Provide
from litestar.middleware import DefineMiddleware
from litestar.types import ControllerRouterHandler
from pyreqwest.client import Client
from seda_db import Database
from seda_identity import enforce_policies, provide_principal
from seda_messaging import Bus, Outbox, run_messaging
from seda_runtime.application import build_app
from seda_runtime.clock import Clock, utc_now
from seda_runtime.settings import load
from sqlalchemy import text

from auth_gateway.access.gate import Gate
from auth_gateway.access.tokens import AccessTokens
from auth_gateway.accounts.hashing import PasswordHashing
from auth_gateway.accounts.routes import ACCOUNT_ROUTES
from auth_gateway.bots.keys import ApiKeys
from auth_gateway.bots.routes import BOT_ROUTES
from auth_gateway.consumers import subscriptions
from auth_gateway.docs.routes import DocumentFetcher, docs_routes
from auth_gateway.edge import surround
from auth_gateway.keys.domain import KeySet
from auth_gateway.keys.files import load_keys, new_key_set
from auth_gateway.keys.routes import KEY_ROUTES
from auth_gateway.keys.signing import Signer
from auth_gateway.limits.domain import LimitClass, Limiter
from auth_gateway.problems import PROBLEMS
from auth_gateway.proxy.domain import Service
from auth_gateway.proxy.forward import Timeouts, new_client
from auth_gateway.proxy.routes import Proxying, proxy_mounts
from auth_gateway.realtime.routes import connect
from auth_gateway.sessions.operations import SessionKeeping
from auth_gateway.sessions.revocation import Revocations
from auth_gateway.sessions.routes import SESSION_ROUTES
from auth_gateway.settings import Settings, check_for_environment
from auth_gateway.suspensions.routes import SUSPENSION_ROUTES
from auth_gateway.tables import Table

NAME = "auth-gateway"
DESCRIPTION = "Accounts, sessions, tokens, and the way to every other service."


def create_app(settings: Settings, *, now: Clock = utc_now) -> Litestar:
    """The gateway. Raises SettingsError or KeysUnusable instead of starting unsafely."""
    check_for_environment(settings)
    keys = keys_for(settings)
    signer, internal_signer = Signer(keys.access), Signer(keys.internal)
    db = Database(settings.database_url, pool_size=settings.database_pool_size)
    bus = Bus(settings.nats_url, service=NAME, nkey_seed=settings.nats_nkey_seed)
    outbox = Outbox(Table.metadata, service=NAME, now=now)
    revocations = Revocations(
        bus,
        ttl_seconds=settings.auth_access_ttl_seconds,
        staleness_seconds_max=settings.revocation_staleness_seconds_max,
    )
    hashing = PasswordHashing(
        workers=settings.password_hash_workers, waiting_max=settings.password_hash_waiting_max
    )
    client = new_client(timeouts_of(settings), connections_max=settings.upstream_connections_max)
    streams = new_client(
        stream_timeouts_of(settings), connections_max=settings.upstream_streams_max
    )

    @asynccontextmanager
    async def run_parts(_: Litestar) -> AsyncIterator[None]:
        async with run_messaging(bus, outbox, db, subscriptions(revocations)):
            await revocations.open()
            try:
                yield
            finally:
                await revocations.close()
                await client.close()
                await streams.close()
        hashing.close()
        await db.close()

    return build_app(
        settings,
        name=NAME,
        description=DESCRIPTION,
        route_handlers=routes_of(settings, client, streams, internal_signer),
        problems=PROBLEMS,
        lifespan=[run_parts],
        dependencies={
            "settings": _always(settings),
            "db": _always(db),
            "keeping": _always(keeping_of(settings, keys, outbox, now)),
            "hashing": _always(hashing),
            "signer": _always(signer),
            "internal_signer": _always(internal_signer),
            "revocations": _always(revocations),
            "principal": Provide(provide_principal, sync_to_thread=False),
        },
        ready_checks={
            "database": db.ping,
            "auth": revocations.ready,
            "nats": bus.ready,
            "storage": partial(is_writable, db),
        },
        middleware=[gate_of(settings, signer, revocations, ApiKeys(db, revocations, now=now))],
        before_start=[enforce_policies, partial(_surround, settings)],
    )


def create_app_from_env() -> Litestar:
    return create_app(load(Settings, os.environ))


def keys_for(settings: Settings) -> KeySet:
    """From the folder; in memory only where a restart may log everybody out."""
    if settings.keyset_folder is None:
        return new_key_set()
    return load_keys(settings.keyset_folder, may_make=settings.may_make_keys)


def routes_of(
    settings: Settings, client: Client, streams: Client, internal_signer: Signer
) -> list[ControllerRouterHandler]:
    """The gateway's own routes, and one mount for each prefix that is another service's."""
    upstreams = upstreams_of(settings)
    proxying = Proxying(
        client=client,
        streams=streams,
        signer=internal_signer,
        upstreams=upstreams,
        body_bytes_max=settings.body_bytes_max,
    )
    docs = docs_routes(DocumentFetcher(client, upstreams)) if settings.docs_are_open else []
    return [
        *ACCOUNT_ROUTES,
        *SESSION_ROUTES,
        *SUSPENSION_ROUTES,
        *BOT_ROUTES,
        *KEY_ROUTES,
        connect,
        *docs,
        *proxy_mounts(proxying),
    ]


def keeping_of(settings: Settings, keys: KeySet, outbox: Outbox, now: Clock) -> SessionKeeping:
    return SessionKeeping(
        outbox=outbox,
        now=now,
        sealing=keys.sealing,
        idle=timedelta(days=settings.session_idle_days),
        life=timedelta(days=settings.session_life_days),
        per_account_max=settings.sessions_per_account_max,
    )


def gate_of(
    settings: Settings, signer: Signer, revocations: Revocations, api_keys: ApiKeys
) -> DefineMiddleware:
    return DefineMiddleware(
        Gate,
        tokens=AccessTokens(signer, revocations),
        keys=api_keys,
        revocations=revocations,
        limiters=limiters_of(settings),
        trusted_hops=settings.trusted_proxy_hops,
    )


def upstreams_of(settings: Settings) -> Mapping[Service, str]:
    return {
        "user-artist": settings.user_artist_url,
        "verification": settings.verification_url,
        "chat-realtime": settings.chat_realtime_url,
        "track-unfurl": settings.track_unfurl_url,
        "crawler": settings.crawler_url,
    }


def timeouts_of(settings: Settings) -> Timeouts:
    return Timeouts(
        connect=timedelta(milliseconds=settings.upstream_connect_timeout_ms),
        read=timedelta(milliseconds=settings.upstream_read_timeout_ms),
        total=timedelta(milliseconds=settings.upstream_total_timeout_ms),
    )


def stream_timeouts_of(settings: Settings) -> Timeouts:
    """A stream has no end of its own; a service that is silent for this long is gone."""
    return timeouts_of(settings)._replace(
        read=timedelta(milliseconds=settings.upstream_stream_silence_ms), total=None
    )


def limiters_of(settings: Settings) -> dict[str, Limiter]:
    classes = (
        LimitClass(
            name="default",
            requests_max=settings.rate_limit_default_requests_max,
            window_seconds=settings.rate_limit_default_window_seconds,
        ),
        LimitClass(
            name="auth",
            requests_max=settings.rate_limit_max_requests,
            window_seconds=max(1, settings.rate_limit_window_ms // 1_000),
        ),
    )
    return {limit.name: Limiter(limit) for limit in classes}


async def is_writable(db: Database) -> bool:
    """False on a standby: everything could be read and nothing kept."""
    async with db.read() as tx:
        return bool(await tx.scalar(text("SELECT NOT pg_is_in_recovery()")))


def _surround(settings: Settings, app: Litestar) -> None:
    app.asgi_handler = surround(app.asgi_handler, cors_origins=settings.cors_origins)


def _always(part: object) -> Provide:
    def provide() -> object:
        return part

    return Provide(provide, sync_to_thread=False, use_cache=True)
