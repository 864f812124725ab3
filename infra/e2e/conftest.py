"""One running platform for all journeys."""

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from seda_devrunner.checkout import ROOT, StateFolder, load_services
from seda_devrunner.platform import Platform
from seda_devrunner.wiring import Wiring
from seda_testkit.client import Api

PASSWORD = "lanterns-over-water-7"


@dataclass(frozen=True, slots=True)
class Running:
    """The platform and where to reach it."""

    state: StateFolder
    platform: Platform
    wiring: Wiring

    @property
    def gateway_url(self) -> str:
        return self.wiring.gateway_url

    @property
    def demosites_url(self) -> str:
        return self.wiring.demosites_url

    def pid(self, service: str) -> int:
        pids = [p.pid for p in self.platform.programs if p.program.name == service]
        assert len(pids) == 1
        assert pids[0] is not None, f"{service} is not running"
        return pids[0]


@pytest.fixture(scope="package")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    state = StateFolder(tmp_path_factory.mktemp("state"))
    state.make()
    kept = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "NATS_URL")}
    services = load_services(ROOT / "infra" / "services.toml")
    platform = Platform(services, state, kept, say=print)
    try:
        wiring = await platform.start(wished_ports=False)
        yield Running(state, platform, wiring)
    finally:
        await platform.stop()


@pytest.fixture
async def api(running: Running) -> AsyncIterator[Api]:
    async with Api.at(running.gateway_url) as api:
        yield api
