"""The servers really start, keep their data, avoid taken ports and leave no orphan."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest
from seda_testkit import postgres as postgres_module
from seda_testkit.binaries import ProgramMissing, find_postgres
from seda_testkit.eventually import eventually
from seda_testkit.nats import EmbeddedNats
from seda_testkit.postgres import EmbeddedPostgres

PARENT = """
import sys, signal
from pathlib import Path
from seda_testkit.nats import EmbeddedNats
from seda_testkit.postgres import EmbeddedPostgres
folder = Path(sys.argv[1])
postgres, nats = EmbeddedPostgres(folder / "pg"), EmbeddedNats(folder / "nats")
postgres.start()
nats.start()
print(postgres.pid, nats.pid, flush=True)
signal.pause()
"""


async def fetch(url: str, statement: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_postgres_answers_as_superuser(postgres: EmbeddedPostgres) -> None:
    version = await fetch(postgres.admin_url, "SHOW server_version_num")
    assert int(str(version)) >= 150_000


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_postgres_holds_no_capability_even_when_started_by_root(
    postgres: EmbeddedPostgres,
) -> None:
    status = Path(f"/proc/{postgres.pid}/status").read_text()
    capabilities = next(line for line in status.splitlines() if line.startswith("CapEff"))
    assert int(capabilities.split()[1], 16) == 0


async def test_postgres_refuses_a_wrong_password(postgres: EmbeddedPostgres) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await fetch(postgres.url("postgres", "postgres", "wrong"), "SELECT 1")


async def test_postgres_keeps_data_and_password_over_a_restart(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "pg") as first:
        await fetch(first.admin_url, "CREATE TABLE kept AS SELECT 42 AS answer")
    with EmbeddedPostgres(tmp_path / "pg") as second:
        assert await fetch(second.admin_url, "SELECT answer FROM kept") == 42


async def test_postgres_starts_again_after_being_killed(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "pg", durable=True)
    server.start()
    await fetch(server.admin_url, "CREATE TABLE kept AS SELECT 42 AS answer")
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    await eventually(lambda: not server.is_running())
    server.start()
    try:
        assert await fetch(server.admin_url, "SELECT answer FROM kept") == 42
    finally:
        server.stop()


async def test_a_port_taken_by_somebody_else_is_no_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = postgres_module.free_port
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        taken = stranger.getsockname()[1]
        offers = iter([taken, taken])
        monkeypatch.setattr(postgres_module, "free_port", lambda: next(offers, None) or free())
        with EmbeddedPostgres(tmp_path / "pg") as server:
            assert server.port != taken
            assert await fetch(server.admin_url, "SELECT 1") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's end")
async def test_killing_the_parent_leaves_no_server_and_the_data_sound(tmp_path: Path) -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, str(tmp_path), stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    pids = [int(word) for word in (await parent.stdout.readline()).split()]
    assert len(pids) == 2
    assert all(is_alive(pid) for pid in pids)
    parent.kill()
    await parent.wait()
    await eventually(lambda: not any(is_alive(pid) for pid in pids))
    # A fast shutdown, not a crash: the next start has nothing to recover.
    with EmbeddedPostgres(tmp_path / "pg") as server:
        assert "was not properly shut down" not in server.log_file.read_text()


def test_nats_serves_jetstream_and_keeps_its_store(tmp_path: Path) -> None:
    with EmbeddedNats(tmp_path / "nats") as first:
        assert first.is_healthy()
        first_url = first.url
    with EmbeddedNats(tmp_path / "nats") as second:
        assert second.is_healthy()
        assert second.url.startswith("nats://127.0.0.1:")
        assert (tmp_path / "nats" / "store").is_dir()
    assert first_url.startswith("nats://127.0.0.1:")


def test_temporary_servers_leave_no_files() -> None:
    with EmbeddedPostgres() as postgres, EmbeddedNats() as nats:
        folders = (postgres.folder, nats.folder)
        assert all(folder.is_dir() for folder in folders)
    assert not any(folder.exists() for folder in folders)


def test_an_installation_that_is_too_old_is_passed_over_and_named(tmp_path: Path) -> None:
    for name in ("postgres", "initdb"):
        program = tmp_path / name
        program.write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 13.4'\n")
        program.chmod(0o755)
    with pytest.raises(ProgramMissing, match=r"\(version 13\)"):
        find_postgres([tmp_path])
