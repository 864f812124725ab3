"""A key of the broker changes while its service works, as infra/docs/deployment.md says."""

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pytest
from seda_contracts import permissions
from seda_messaging import Bus, broker_keys
from seda_messaging.errors import BusUnavailable, CredentialRefused
from seda_messaging.provision import provision
from seda_testkit.eventually import eventually
from seda_testkit.nats import EmbeddedNats

SUBJECT = "seda.cmd.crawl.fetch.v1.key"


def write_users(folder: Path, capsys: pytest.CaptureFixture[str], *options: str) -> None:
    """Public keys, then what `python -m seda_contracts.permissions` prints."""
    public = [
        line for line in (folder / ".env.broker").read_text().splitlines() if "SEED" not in line
    ]
    capsys.readouterr()
    permissions.main(list(options))
    (folder / "users.conf").write_text("\n".join(public) + "\n" + capsys.readouterr().out)


def seed(folder: Path, user: str) -> str:
    rows = [line.partition("=") for line in (folder / ".env.broker").read_text().splitlines()]
    return next(value for name, _, value in rows if name == permissions.seed_variable(user))


async def reload(server: EmbeddedNats) -> None:
    """SIGHUP, as `nats-server --signal reload` sends it."""
    before = server.log_file.read_text().count("Reloaded server configuration")
    assert server.pid is not None
    os.kill(server.pid, signal.SIGHUP)
    await eventually(
        lambda: server.log_file.read_text().count("Reloaded server configuration") > before
    )


class Crawler:
    """Gives itself work and does it, with one key; what is not confirmed it says again."""

    def __init__(self, url: str, key: str) -> None:
        self.bus = Bus(url, service="crawler", nkey_seed=key)
        self.said: set[str] = set()
        self.done: set[str] = set()
        self._stopping = asyncio.Event()

    async def start(self) -> None:
        await self.bus.open()
        self._saying = asyncio.create_task(self._say())
        self._doing = asyncio.create_task(self._do())
        await self.works()

    async def works(self) -> None:
        """Returns when something said from now on was done."""
        before = len(self.said)
        await eventually(lambda: len(self.said) > before + 1 and self.said - self.done == set())

    async def stop(self) -> None:
        self._stopping.set()
        await self._saying
        self._doing.cancel()
        await asyncio.gather(self._doing, return_exceptions=True)
        await self.bus.close()

    async def _say(self) -> None:
        while not self._stopping.is_set():
            word = str(uuid4())
            with suppress(BusUnavailable):
                await self.bus.publish(SUBJECT, word.encode(), {"Nats-Msg-Id": word})
                self.said.add(word)
            await asyncio.sleep(0.01)

    async def _do(self) -> None:
        pull = self.bus.pull("CMD_CRAWL", "crawler_jobs")
        await pull.open()
        while True:
            if message := await pull.next(1):
                self.done.add(message.body.decode())
                await message.ack()


async def test_a_service_changes_its_key_and_works_all_the_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = tmp_path / ".env.broker"
    broker_keys.main(["--add-to", str(keys)])
    write_users(tmp_path, capsys)
    with EmbeddedNats(tmp_path, extra_config="include users.conf\n") as server:
        provisioner = seed(tmp_path, permissions.PROVISIONER)
        await provision(server.url, "crawler", nkey_seed=provisioner)
        old = Crawler(server.url, seed(tmp_path, "crawler"))
        await old.start()

        broker_keys.main(["--add-to", str(keys), "crawler-next"])
        write_users(tmp_path, capsys, "--second-key", "crawler")
        await reload(server)
        await old.works()
        await old.stop()
        new = Crawler(server.url, seed(tmp_path, "crawler-next"))
        await new.start()

        outdated = ("NATS_NKEY_CRAWLER=", "NATS_NKEY_SEED_CRAWLER=")
        lines = [x for x in keys.read_text().splitlines() if not x.startswith(outdated)]
        keys.write_text("\n".join(lines).replace("CRAWLER_NEXT", "CRAWLER") + "\n")
        write_users(tmp_path, capsys)
        await reload(server)
        await new.works()
        assert new.bus.is_connected
        with pytest.raises(CredentialRefused):
            await old.bus.open()
        await new.stop()
