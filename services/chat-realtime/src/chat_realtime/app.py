"""The composition root: builds the parts of chat-realtime once and ties them together.

One process holds both listeners: HTTP by Litestar on Granian, the socket by `live/`.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from litestar import Litestar
from litestar.datastructures import State
from litestar.di import Provide
from seda_db import Database
from seda_identity import IdentityVerifier, enforce_policies, require_identity
from seda_messaging import Bus, Outbox, run_messaging
from seda_runtime.application import build_app
from seda_runtime.clock import Clock, utc_now
from seda_runtime.settings import load

from chat_realtime.attention.routes import AttentionRoutes
from chat_realtime.consumers import subscriptions
from chat_realtime.invites.routes import InviteRoutes
from chat_realtime.limits.domain import Rate
from chat_realtime.limits.gate import Gate, GateRates
from chat_realtime.live.operations import Hints, make_door
from chat_realtime.live.routes import LiveRoutes
from chat_realtime.live.runner import LiveSide, run_live
from chat_realtime.live.stream import Listen
from chat_realtime.log.operations import Recording
from chat_realtime.messages.batcher import Batcher
from chat_realtime.messages.posting import Posting
from chat_realtime.messages.routes import MessageRoutes
from chat_realtime.moderation.routes import ModerationRoutes
from chat_realtime.pins.routes import PinRoutes
from chat_realtime.presence.board import Look
from chat_realtime.presence.routes import PresenceRoutes
from chat_realtime.problems import PROBLEMS
from chat_realtime.reports.routes import ReportRoutes
from chat_realtime.rooms.routes import RoomRoutes
from chat_realtime.search.routes import SearchRoutes
from chat_realtime.settings import Settings
from chat_realtime.signals import Signals
from chat_realtime.tables import Table

NAME = "chat-realtime"
DESCRIPTION = "Rooms, messages and moderation; their live side is the socket `seda.rt.v1`."


def create_app(settings: Settings, *, now: Clock = utc_now) -> Litestar:
    db = Database(settings.database_url, pool_size=settings.database_pool_size)
    bus = Bus(settings.nats_url, service=NAME, nkey_seed=settings.nats_nkey_seed)
    outbox = Outbox(Table.metadata, service=NAME, now=now)
    signals = Signals(bus)
    recording = Recording(outbox=outbox, signals=signals, now=now)
    batcher = Batcher(db, recording)
    gate = Gate(_rates(settings))
    posting = Posting(db=db, batcher=batcher, gate=gate, now=now)
    door = make_door(settings.gateway_url, now=now)
    hints = Hints()

    def look(state: State) -> Look:
        live: LiveSide = state.live
        return live.look

    def listen(state: State) -> Listen:
        live: LiveSide = state.live
        return live.listen

    @asynccontextmanager
    async def run(app: Litestar) -> AsyncIterator[None]:
        """Sockets close first, then the batcher, consumers and relay, then the database."""
        try:
            async with (
                run_messaging(bus, outbox, db, subscriptions(db, recording)),
                signals.run(),
                batcher.run(),
                run_live(
                    settings,
                    bus=bus,
                    db=db,
                    recording=recording,
                    posting=posting,
                    gate=gate,
                    door=door,
                    stopping=app.state.stopping,
                ) as live,
            ):
                app.state.live = live
                yield
        finally:
            await db.close()

    return build_app(
        settings,
        name=NAME,
        description=DESCRIPTION,
        route_handlers=[
            RoomRoutes,
            MessageRoutes,
            PinRoutes,
            SearchRoutes,
            AttentionRoutes,
            ModerationRoutes,
            InviteRoutes,
            ReportRoutes,
            PresenceRoutes,
            LiveRoutes,
        ],
        problems=PROBLEMS,
        lifespan=[run],
        dependencies={
            "db": Provide(lambda: db, sync_to_thread=False),
            "recording": Provide(lambda: recording, sync_to_thread=False),
            "posting": Provide(lambda: posting, sync_to_thread=False),
            "look": Provide(look, sync_to_thread=False),
            "listen": Provide(listen, sync_to_thread=False),
            "hints": Provide(lambda: hints, sync_to_thread=False),
            "settings": Provide(lambda: settings, sync_to_thread=False),
        },
        ready_checks={"database": db.ping, "nats": bus.ready},
        before_start=[enforce_policies],
        on_app_init=[
            require_identity(IdentityVerifier(settings.gateway_url, audience=NAME)),
        ],
    )


def _rates(settings: Settings) -> GateRates:
    return GateRates(
        person_messages=Rate(settings.person_messages_per_second, settings.person_messages_burst),
        room_messages=Rate(settings.room_messages_per_second, settings.room_messages_burst),
        room_typing=Rate(settings.room_typing_per_second, settings.room_typing_burst),
    )


def create_app_from_env() -> Litestar:
    """What Granian calls."""
    return create_app(load(Settings, os.environ))
