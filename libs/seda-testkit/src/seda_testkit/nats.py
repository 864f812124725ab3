"""NATS with JetStream as a child process: own folder and ports, gone with its parent."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from seda_testkit import child
from seda_testkit.binaries import find_nats

START_SECONDS_MAX = 20.0
STOP_SECONDS_MAX = 10.0
PROBE_SECONDS_MAX = 1.0

CONFIG = """\
server_name: "seda-embedded"
listen: "127.0.0.1:{port}"
http: "127.0.0.1:-1"
ports_file_dir: "{ports}"
max_payload: 1MB
jetstream {{
  store_dir: "{store}"
  sync_interval: {sync}
  max_file: 64GB
}}
"""
"""Port -1 lets the kernel choose; the server writes what it got into the ports folder.

A second start of the same object asks for the port of the first: clients come back to it.
max_file is said because streams reserve their byte limits: the server's own guess from the free
disk refuses them on a small one.
"""


class NatsFailed(Exception):
    """The server could not be started; the message ends with what it said."""


class EmbeddedNats:
    """One NATS server with JetStream. `start` returns when JetStream answers.

    With a `folder` streams stay there between starts; without one they are temporary. `durable`
    flushes every stored message to the disk before it is acknowledged. `extra_config` is appended
    to the configuration (users, permissions, a websocket listener); the variables it names are
    looked up in `env`, which is added to this process's own.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        durable: bool = False,
        extra_config: str = "",
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._is_temporary = folder is None
        self.folder = (folder or Path(tempfile.mkdtemp(prefix="seda-nats-"))).resolve()
        self.url = ""
        self.monitor_url = ""
        self._durable = durable
        self._extra_config = extra_config
        self._env = dict(env or {})
        self._program = find_nats()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log_file(self) -> Path:
        return self.folder / "nats.log"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Raises NatsFailed with the end of the server's log when it cannot serve."""
        if self.is_running():
            return
        ports_folder = self.folder / "ports"
        shutil.rmtree(ports_folder, ignore_errors=True)
        ports_folder.mkdir(parents=True)
        config_file = self.folder / "nats.conf"
        config_file.write_text(
            CONFIG.format(
                port=urlsplit(self.url).port or -1,
                ports=ports_folder,
                store=self.folder / "store",
                sync="always" if self._durable else '"2m"',
            )
            + self._extra_config
        )
        with self.log_file.open("wb") as log:
            self._process = subprocess.Popen(
                child.wrap([self._program, "-c", str(config_file)], death_signal=signal.SIGTERM),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=os.environ | self._env,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS_MAX
        while not (self._read_ports(ports_folder) and self.is_healthy()):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._end_process()
                raise NatsFailed(f"nats-server did not start. It said:\n{self._log_tail()}")
            time.sleep(0.005)

    def kill(self) -> None:
        """End it as a crash does; `start` brings it back with its streams."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        self._end_process()
        if self._is_temporary:
            shutil.rmtree(self.folder, ignore_errors=True)

    def is_healthy(self) -> bool:
        """Whether JetStream answers. Which streams and consumers exist is not asked."""
        address = f"{self.monitor_url}/healthz?js-enabled-only=true"
        # Loopback: a proxy of the person's shell must not be asked for it.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(address, timeout=PROBE_SECONDS_MAX) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _read_ports(self, ports_folder: Path) -> bool:
        """The file carries the server's pid in its name, so a stale one cannot be mistaken."""
        for file in ports_folder.glob(f"*_{self.pid}.ports"):
            try:
                ports = json.loads(file.read_text())
            except ValueError:
                return False  # still being written
            self.url, self.monitor_url = ports["nats"][0], ports["monitoring"][0]
            return True
        return False

    def _end_process(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None

    def _log_tail(self) -> str:
        try:
            return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-20:])
        except FileNotFoundError:
            return ""
