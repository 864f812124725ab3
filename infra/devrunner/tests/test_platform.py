"""The runner starts everything, restarts what ends, says where things are, and cleans up.

It runs a checkout in miniature: two services of a few lines, on real PostgreSQL and NATS.
"""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import nats as nats_client
import pytest
from nats.aio.client import Client
from nats.errors import Error as NatsError
from seda_contracts.permissions import seed_variable, users
from seda_devrunner.broker import guarded_nats
from seda_devrunner.checkout import ROOT
from seda_devrunner.logbook import LogBook
from seda_devrunner.supervision import CRASH_LOOP_EXITS, Program, Supervised
from seda_messaging.broker_keys import new_seed
from seda_messaging.provision import provision_streams
from seda_testkit.eventually import eventually
from seda_testkit.nats import EmbeddedNats
from seda_testkit.ports import free_port
from seda_testkit.postgres import EmbeddedPostgres

PERMISSIONS = ROOT / "infra/nats/permissions.conf"
DURABLE = "track-unfurl_links"

SERVICE = """
import http.server, json, os, pathlib, sys

notes = pathlib.Path(os.environ["NOTES_FOLDER"])
logins = {name: value for name, value in os.environ.items() if name.startswith("NATS_NKEY_")}
(notes / f"{__package__}.{sys.argv[1]}.json").write_text(json.dumps(logins))
if sys.argv[1] == "migrate":
    with (notes / "migrated").open("a") as file:
        file.write(f"{__package__} {os.environ['DATABASE_OWNER_URL'].split('@')[0]}\\n")
    sys.exit(0)
assert "DATABASE_OWNER_URL" not in os.environ
if (notes / f"{__package__}.broken").exists():
    sys.exit("the pantry is empty")


class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()


print("hello from", __package__, flush=True)
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Ready).serve_forever()
"""
SERVICES = """
[[service]]
name = "auth-gateway"
package = "small_gateway"
schema = "small_auth"
port = {port}
metrics_port = 0

[[service]]
name = "chat-realtime"
package = "small_chat"
schema = "small_chat"
port = 0
metrics_port = 0
socket_port = 0
"""


class Miniature:
    """The folder, and the runner's command line for it."""

    def __init__(self, folder: Path, gateway_port: int = 0) -> None:
        self.folder = folder
        self.state = folder / "state"
        for package in ("small_gateway", "small_chat"):
            (folder / package).mkdir(parents=True)
            (folder / package / "__init__.py").touch()
            (folder / package / "__main__.py").write_text(SERVICE)
        self.services_file = folder / "services.toml"
        self.services_file.write_text(SERVICES.format(port=gateway_port))
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name not in ("DATABASE_URL", "NATS_URL") and not name.startswith("NATS_NKEY_")
        }
        self.env = inherited | {"PYTHONPATH": str(folder), "NOTES_FOLDER": str(folder)}

    def command(self, *words: str) -> list[str]:
        options = ("--state", str(self.state), "--services", str(self.services_file))
        return [sys.executable, "-m", "seda_devrunner", *options, *words]

    def run(self, *words: str, expect: int = 0) -> str:
        finished = subprocess.run(
            self.command(*words), env=self.env, capture_output=True, text=True, timeout=90
        )
        assert finished.returncode == expect, finished.stdout + finished.stderr
        return finished.stdout

    def logins(self, package: str, word: str) -> dict[str, str]:
        """The broker's keys in the environment of one program."""
        found: dict[str, str] = json.loads((self.folder / f"{package}.{word}.json").read_text())
        return found

    def facts(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.state / name).read_text())
        return found

    def rows(self) -> dict[str, dict[str, Any]]:
        finished = subprocess.run(
            self.command("status", "--json"), env=self.env, capture_output=True, text=True
        )
        return {row["service"]: row for row in json.loads(finished.stdout)}


@pytest.fixture
def miniature(tmp_path: Path) -> Iterator[Miniature]:
    made = Miniature(tmp_path)
    yield made
    made.run("stop")


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_one_command_runs_it_and_one_stops_it(miniature: Miniature) -> None:
    said = miniature.run("up", "--detach", "--no-seed")
    assert "seda.fm is up" in said
    rows = miniature.rows()
    assert set(rows) == {"postgres", "nats", "demosites", "chat-realtime", "auth-gateway"}
    assert {row["state"] for row in rows.values()} == {"ready"}
    pids = [row["pid"] for row in rows.values()]
    miniature.run("stop")
    assert not any(is_alive(pid) for pid in pids)
    miniature.run("status", expect=3)


async def test_a_second_start_says_where_the_first_runs_and_skips_migrations(
    miniature: Miniature,
) -> None:
    miniature.run("up", "--detach", "--no-seed")
    url = miniature.facts("run.json")["gateway_url"]
    for word in ("--no-seed", "--detach"):
        refused = miniature.run("up", word, expect=1)
        assert "already runs here, as process" in refused
        assert f"at {url}" in refused
    migrated = miniature.folder / "migrated"
    assert sorted(line.split()[0] for line in migrated.read_text().splitlines()) == [
        "small_chat",
        "small_gateway",
    ]
    assert "://small_chat_owner:" in migrated.read_text()
    miniature.run("stop")
    miniature.run("up", "--detach", "--no-seed")
    assert len(migrated.read_text().splitlines()) == 2


async def test_a_killed_service_and_a_killed_postgres_come_back(miniature: Miniature) -> None:
    miniature.run("up", "--detach", "--no-seed")
    before = miniature.rows()
    for name in ("chat-realtime", "postgres"):
        os.kill(before[name]["pid"], signal.SIGKILL)

    def all_are_back() -> bool:
        now = miniature.rows()
        return all(
            now[name]["state"] == "ready"
            and now[name]["restarts"] == 1
            and now[name]["url"] == before[name]["url"]
            for name in ("chat-realtime", "postgres")
        )

    await eventually(all_are_back, timeout_seconds=30)


async def test_killing_the_runner_leaves_nothing_behind(miniature: Miniature) -> None:
    runner = await asyncio.create_subprocess_exec(
        *miniature.command("up", "--no-seed"),
        env=miniature.env,
        stdout=asyncio.subprocess.DEVNULL,
    )
    rows = await eventually(miniature.rows, timeout_seconds=60)
    runner.kill()
    await runner.wait()
    pids = [row["pid"] for row in rows.values()]
    await eventually(lambda: not any(is_alive(pid) for pid in pids))


async def test_ctrl_c_stops_in_order_and_leaves_with_success(miniature: Miniature) -> None:
    runner = await asyncio.create_subprocess_exec(
        *miniature.command("up", "--no-seed"),
        env=miniature.env,
        stdout=asyncio.subprocess.DEVNULL,
    )
    rows = await eventually(miniature.rows, timeout_seconds=60)
    runner.send_signal(signal.SIGINT)
    assert await runner.wait() == 0
    assert not any(is_alive(row["pid"]) for row in rows.values())


async def test_a_service_that_cannot_start_is_named_with_its_last_words(
    miniature: Miniature,
) -> None:
    (miniature.folder / "small_chat.broken").touch()
    said = miniature.run("up", "--detach", "--no-seed", expect=1)
    assert "chat-realtime ended with status 1" in said
    assert "the pantry is empty" in said
    assert "Traceback" not in said
    assert miniature.rows() == {}


async def test_a_service_that_ends_again_and_again_is_given_up(miniature: Miniature) -> None:
    miniature.run("up", "--detach", "--no-seed")
    (miniature.folder / "small_chat.broken").touch()
    os.kill(miniature.rows()["chat-realtime"]["pid"], signal.SIGKILL)

    def is_given_up() -> bool:
        return miniature.rows()["chat-realtime"]["state"] == "crash-loop"

    await eventually(is_given_up, timeout_seconds=45)
    assert miniature.rows()["auth-gateway"]["state"] == "ready"
    assert "not started again" in miniature.run("logs", "chat-realtime")


async def test_a_program_that_is_ended_on_purpose_comes_back_every_time(tmp_path: Path) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    once = (
        "import http.server, sys; http.server.HTTPServer(('127.0.0.1', int(sys.argv[1])), "
        "http.server.SimpleHTTPRequestHandler).handle_request()"
    )
    program = Program(
        name="once",
        arguments=("-c", once, address.rpartition(":")[2]),
        url=address,
        ready_url=address,
    )
    logs = LogBook(tmp_path)
    supervised = Supervised(program, logs, gives_up=False)
    await supervised.start()
    await eventually(lambda: supervised.restarts > CRASH_LOOP_EXITS, timeout_seconds=30)
    assert supervised.state != "crash-loop"
    await supervised.stop()
    logs.close()


async def test_servers_that_are_given_are_used_and_left_alone(
    miniature: Miniature, postgres: EmbeddedPostgres, nats: EmbeddedNats
) -> None:
    miniature.env |= {"DATABASE_URL": postgres.admin_url, "NATS_URL": nats.url}
    miniature.run("up", "--detach", "--no-seed")
    assert set(miniature.rows()) == {"demosites", "chat-realtime", "auth-gateway"}
    assert miniature.logins("small_chat", "serve") == {}, "this broker knows no users"
    miniature.run("stop")
    assert postgres.is_running()
    assert nats.is_running()


async def test_each_program_holds_its_own_key_of_the_broker_and_no_other(
    miniature: Miniature,
) -> None:
    miniature.env |= {"NATS_NKEY_SEED": "the person's own", "NATS_NKEY_SEED_CRAWLER": "another's"}
    miniature.run("up", "--detach", "--no-seed")
    seeds = miniature.facts("secrets.json")["nkey_seeds"]
    assert (miniature.state / "secrets.json").stat().st_mode & 0o077 == 0
    assert set(seeds) == set(users())
    assert miniature.logins("small_gateway", "serve") == {"NATS_NKEY_SEED": seeds["auth-gateway"]}
    assert miniature.logins("small_chat", "serve") == {"NATS_NKEY_SEED": seeds["chat-realtime"]}
    assert miniature.logins("small_chat", "migrate") == {"NATS_NKEY_SEED": seeds["provisioner"]}
    people = {user: seeds[user] for user in ("ops", "operator")}
    assert miniature.facts("run.json")["nats_seeds"] == people


async def test_the_embedded_broker_is_closed_and_stays_so_when_it_was_killed(
    miniature: Miniature,
) -> None:
    miniature.run("up", "--detach", "--no-seed")
    killed = miniature.rows()["nats"]
    os.kill(killed["pid"], signal.SIGKILL)
    await eventually(lambda: miniature.rows()["nats"]["pid"] not in (killed["pid"], None))
    assert PERMISSIONS.read_text() in (miniature.state / "nats/nats.conf").read_text()
    seeds = miniature.facts("secrets.json")["nkey_seeds"]
    assert await may_enter(killed["url"], seeds["crawler"])
    assert not await may_enter(killed["url"], None)
    assert not await may_enter(killed["url"], new_seed())


async def may_enter(url: str, seed: str | None) -> bool:
    client = Client()
    try:
        await client.connect(url, nkeys_seed_str=seed, allow_reconnect=False)
    except NatsError as refusal:
        return "authorization violation" not in str(refusal).lower()
    finally:
        await client.close()
    return True


async def test_a_given_broker_with_users_gets_the_keys_it_was_given_with(
    miniature: Miniature,
) -> None:
    seeds = {user: new_seed() for user in users()}
    with guarded_nats(miniature.folder / "theirs", users(), seeds) as nats:
        miniature.env |= {"NATS_URL": nats.url}
        miniature.env |= {seed_variable(user): seed for user, seed in seeds.items()}
        miniature.run("up", "--detach", "--no-seed")
        assert miniature.logins("small_chat", "serve") == {"NATS_NKEY_SEED": seeds["chat-realtime"]}
        assert miniature.logins("small_chat", "migrate") == {"NATS_NKEY_SEED": seeds["provisioner"]}
        people = {user: seeds[user] for user in ("ops", "operator")}
        assert miniature.facts("run.json")["nats_seeds"] == people


async def test_streams_from_before_there_were_users_are_carried_over(tmp_path: Path) -> None:
    """With what was not consumed yet: a queue holds work that no outbox would send again."""
    subject = "seda.cmd.unfurl.resolve.v1.a"
    with EmbeddedNats(tmp_path) as open_to_all:
        client = await nats_client.connect(open_to_all.url)
        await provision_streams(client.jetstream(), "track-unfurl")
        for _ in range(3):
            await client.jetstream().publish(subject, b"{}")
        first = await client.jetstream().pull_subscribe_bind(DURABLE, "CMD_UNFURL")
        await (await first.fetch(1))[0].ack_sync()
        await client.close()
    seeds = {user: new_seed() for user in users()}
    for _ in ("the first start", "every later one"):
        with guarded_nats(tmp_path, users(), seeds) as closed:
            client = await nats_client.connect(
                closed.url, nkeys_seed_str=seeds["ops"], inbox_prefix=b"_INBOX_ops"
            )
            there = await client.jetstream().consumer_info("CMD_UNFURL", DURABLE)
            assert (there.num_pending, there.delivered.stream_seq) == (2, 1)
            await client.close()


async def test_a_taken_port_is_replaced_and_said(tmp_path: Path) -> None:
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        taken = stranger.getsockname()[1]
        miniature = Miniature(tmp_path, gateway_port=taken)
        try:
            said = miniature.run("up", "--detach", "--no-seed")
            assert f"port {taken} is taken by another program" in said
            url = miniature.rows()["auth-gateway"]["url"]
            async with httpx.AsyncClient(trust_env=False) as client:
                assert (await client.get(url)).status_code == 200
        finally:
            miniature.run("stop")


@pytest.mark.parametrize("word", ["status", "logs"])
def test_asking_when_nothing_runs_is_answered_plainly(miniature: Miniature, word: str) -> None:
    said = miniature.run(word, expect=3 if word == "status" else 1)
    assert "make run" in said or "none yet" in said
