"""PostgreSQL as a child process: own folder, own port, own password, gone with its parent."""

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from seda_testkit import child
from seda_testkit.binaries import find_postgres
from seda_testkit.ports import free_port

START_SECONDS_MAX = 30.0
STOP_SECONDS_MAX = 20.0
CONNECTIONS_MAX = 200
PORT_ATTEMPTS_MAX = 5
STILL_IN_USE = ("lock file", "pre-existing shared memory block")
"""What a start says while the processes of a killed server are still leaving."""
PORT_TAKEN = "could not bind"
NOT_DURABLE = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


class PostgresFailed(Exception):
    """The server could not be started; the message ends with what it said."""


class EmbeddedPostgres:
    """One PostgreSQL server. `start` returns when it accepts connections.

    With a `folder` the data stays there between starts; without one it is temporary. `durable`
    off (tests) trades every promise about crashes for speed. As root the server runs in a user
    namespace, because PostgreSQL refuses uid 0. Start it from a thread that outlives it.
    """

    def __init__(
        self, folder: Path | None = None, *, durable: bool = False, settings: Sequence[str] = ()
    ) -> None:
        self._is_temporary = folder is None
        self.folder = (folder or Path(tempfile.mkdtemp(prefix="seda-pg-"))).resolve()
        self.port = 0
        self._durable = durable
        self._settings = tuple(settings)
        self._programs = find_postgres()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket_folder: Path | None = None

    @property
    def data_folder(self) -> Path:
        return self.folder / "data"

    @property
    def log_file(self) -> Path:
        return self.folder / "postgres.log"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def admin_url(self) -> str:
        return self.url("postgres", "postgres", self._password())

    def url(self, database: str, user: str, password: str) -> str:
        return f"postgresql://{user}:{quote(password, safe='')}@127.0.0.1:{self.port}/{database}"

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Raises PostgresFailed with the end of the server's log when it cannot serve."""
        if self.is_running():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self.data_folder / "PG_VERSION").exists():
            self._initialise()
        self._stop_survivor()
        deadline = time.monotonic() + START_SECONDS_MAX
        ports_tried = 0
        # A restart keeps the port, because those who know it are still there.
        self.port = self.port or free_port()
        while not self._launch(deadline):
            said = self._log_tail()
            if PORT_TAKEN in said:
                ports_tried += 1
                self.port = free_port()
            may_retry = any(text in said for text in STILL_IN_USE) or PORT_TAKEN in said
            if not may_retry or ports_tried > PORT_ATTEMPTS_MAX or time.monotonic() > deadline:
                self._discard_socket_folder()
                raise PostgresFailed(f"PostgreSQL did not start. It said:\n{said}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Fast shutdown: running statements are broken off, committed data is kept."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None
        self._discard_socket_folder()
        if self._is_temporary:
            shutil.rmtree(self.folder, ignore_errors=True)

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

    def _initialise(self) -> None:
        password_file = self.folder / "password"
        password_file.touch(mode=0o600)
        password_file.write_text(secrets.token_urlsafe(24))
        shutil.rmtree(self.data_folder, ignore_errors=True)
        # The builtin locale sorts the same on every machine; it exists from version 17 on.
        locale = (
            ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
            if self._programs.major >= 17
            else ["--locale=C.UTF-8"]
        )
        command = [
            self._programs.path("initdb"),
            f"--pgdata={self.data_folder}",
            "--username=postgres",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--no-sync",
            *locale,
        ]
        self._let_unprivileged_in()
        finished = subprocess.run(
            child.wrap(command, death_signal=signal.SIGKILL, unprivileged=True),
            check=False,
            capture_output=True,
            text=True,
            env=_environment(),
            cwd=self.folder,
        )
        if finished.returncode != 0:
            shutil.rmtree(self.data_folder, ignore_errors=True)
            raise PostgresFailed(f"initdb failed. It said:\n{finished.stdout}{finished.stderr}")

    def _launch(self, deadline: float) -> bool:
        """One attempt; False when the server ended instead of becoming ready."""
        self._discard_socket_folder()
        # Unix socket paths are limited to about 100 bytes, so this is never inside `folder`.
        self._socket_folder = Path(tempfile.mkdtemp(prefix="seda-pg-", dir="/tmp"))
        self._let_unprivileged_in()
        chosen = [
            "listen_addresses=127.0.0.1",
            f"max_connections={CONNECTIONS_MAX}",
            "shared_buffers=64MB",
            "timezone=UTC",
            "log_timezone=UTC",
            *(() if self._durable else NOT_DURABLE),
            *self._settings,
        ]
        command = [
            self._programs.path("postgres"),
            *("-D", str(self.data_folder), "-p", str(self.port), "-k", str(self._socket_folder)),
            *(part for setting in chosen for part in ("-c", setting)),
        ]
        with self.log_file.open("wb") as log:
            self._process = subprocess.Popen(
                child.wrap(command, death_signal=signal.SIGINT, unprivileged=True),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=_environment(),
                cwd=self.folder,
                # Ctrl-C in a terminal reaches the whole group; who stops the server is its parent.
                start_new_session=True,
            )
        while self._process.poll() is None:
            if self._is_ready():
                return True
            if time.monotonic() > deadline:
                self._process.kill()
                self._process.wait()
                raise PostgresFailed(
                    f"PostgreSQL was not ready in {START_SECONDS_MAX:.0f} s. "
                    f"It said:\n{self._log_tail()}"
                )
            time.sleep(0.01)
        return False

    def _is_ready(self) -> bool:
        """As pg_ctl decides it: the pid file is this process's own, and its last line says so."""
        try:
            lines = (self.data_folder / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        own_pid = str(self._process.pid) if self._process else ""
        return len(lines) >= 8 and lines[0] == own_pid and lines[7].strip() == "ready"

    def _stop_survivor(self) -> None:
        """Where a child cannot be told of its parent's death, the last server may still run."""
        left_behind = (self.data_folder / "postmaster.pid").exists()
        if child.TELLS_OF_DEATH or not left_behind:
            return
        subprocess.run(
            [self._programs.path("pg_ctl"), "stop", "-m", "fast", "-D", str(self.data_folder)],
            check=False,
            capture_output=True,
            env=_environment(),
            cwd=self.folder,
        )

    def _let_unprivileged_in(self) -> None:
        """Hand the files to the user the server becomes, when it cannot stay their owner."""
        if os.geteuid() != 0 or child.can_enter_user_namespace():
            return
        user = child.unprivileged_user()
        folders = [self.folder, *([self._socket_folder] if self._socket_folder else [])]
        for folder in folders:
            os.chown(folder, user.pw_uid, user.pw_gid)
        for name in ("password", "data"):
            if (self.folder / name).exists():
                os.chown(self.folder / name, user.pw_uid, user.pw_gid)

    def _discard_socket_folder(self) -> None:
        if self._socket_folder is not None:
            shutil.rmtree(self._socket_folder, ignore_errors=True)
            self._socket_folder = None

    def _password(self) -> str:
        return (self.folder / "password").read_text()

    def _log_tail(self) -> str:
        try:
            return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-20:])
        except FileNotFoundError:
            return ""


def _environment() -> dict[str, str]:
    # PG* variables of the person's own shell must not steer this server.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return kept | {"LC_ALL": "C", "TZ": "UTC"}
