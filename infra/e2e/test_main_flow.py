"""The whole platform, started as a newcomer starts it, through its public API and sockets."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from seda_devrunner.people import ADMIN, DEMO_PASSWORD, LISTENERS
from seda_testkit.client import Api

START_SECONDS_MAX = 240


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A running platform with demo data, in a folder of its own."""
    folder = tmp_path_factory.mktemp("platform")
    finished = runner(folder, "up", "--detach", "--any-ports")
    try:
        assert finished.returncode == 0, finished.stdout + finished.stderr
        yield folder
    finally:
        runner(folder, "stop")


def runner(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "seda_devrunner", "--state", str(folder), *words]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=START_SECONDS_MAX, check=False
    )


@pytest.fixture
async def api(state: Path) -> AsyncIterator[Api]:
    facts = json.loads((state / "run.json").read_text())
    async with Api.at(facts["gateway_url"]) as gateway:
        yield gateway


@pytest.mark.slow
def test_every_program_is_ready(state: Path) -> None:
    rows: list[dict[str, Any]] = json.loads(runner(state, "status", "--json").stdout)
    assert len(rows) == 9
    assert {row["state"] for row in rows} == {"ready"}


@pytest.mark.slow
def test_two_people_meet_share_a_track_prove_an_artist_and_moderate(state: Path) -> None:
    """The six steps every change must keep working, as `make demo` plays them."""
    finished = runner(state, "demo")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "all of it happened" in finished.stdout


@pytest.mark.slow
async def test_demo_artists_stand_at_every_stage_of_verification(api: Api) -> None:
    statuses = set()
    for person in LISTENERS:
        listener = await api.log_in(person.email, DEMO_PASSWORD)
        claims = (await listener.get("/verification/requests"))["items"]
        statuses |= {claim["status"] for claim in claims} or {"unclaimed"}
    assert statuses == {"unclaimed", "issued", "found", "approved", "denied"}


@pytest.mark.slow
async def test_the_demo_admin_may_read_the_review_queue(api: Api) -> None:
    admin = await api.log_in(ADMIN.email, DEMO_PASSWORD)
    queue = (await admin.get("/admin/verification/requests", status="found"))["items"]
    assert [claim["target_listed"] for claim in queue] == [False]
