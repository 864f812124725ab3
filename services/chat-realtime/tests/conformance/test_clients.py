"""Every reference client plays every scenario of contracts/conformance against the real service.

Codes and frames that the service cannot be brought to say are put on its own open connections.
"""

import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from chat_realtime.live import serving as serving_module
from chat_realtime.live import websocket as websocket_module
from chat_realtime.log.domain import Change
from chat_realtime.log.operations import record_one
from chat_realtime.rooms.store import lock_room
from seda_contracts.events.auth import RoleChanged, SessionRevoked
from seda_contracts.realtime_codes import CLOSES, reaction_to
from seda_runtime.clock import utc_now
from seda_testkit.eventually import eventually

if TYPE_CHECKING:
    from conformance.conftest import Driver, Gateway, Line
    from conftest import Chat

SCENARIOS = json.loads(
    (Path(__file__).parents[4] / "contracts/conformance/scenarios.json").read_text()
)
UNKNOWN_CODES = (4321, 4789)
BY_LINE = 1006
"""No close frame can say it: the line is cut."""
TIME_SCALE = 0.02
TIMERS_DIFFER_MS = 20
TOKEN_SECONDS = 2
SOCKETS_PER_USER_MAX = 20
WAIT_SECONDS_MAX = 15
LATER_TYPE = "later.type"

Step = dict[str, Any]


def expanded() -> list[dict[str, Any]]:
    """One scenario per close code where a scenario is of all codes with one reaction."""
    found = []
    for scenario in SCENARIOS:
        reaction = scenario.get("for_each_code")
        if reaction is None:
            found.append(scenario)
            continue
        codes = sorted({*CLOSES, *UNKNOWN_CODES} - {4029})
        for code in codes:
            if reaction_to(code).reaction.startswith(reaction):
                text = json.dumps(scenario).replace('"$code"', str(code))
                found.append(json.loads(text.replace("$code", str(code))))
    return found


class Services:
    """The running processes, by their settings: each is started once."""

    def __init__(self, start: Callable[..., Any]) -> None:
        self._start = start
        self._running: dict[str, tuple[Chat, AsyncExitStack]] = {}

    async def get(self, settings: Step) -> "Chat":
        name = json.dumps(settings)
        if name not in self._running:
            stack = AsyncExitStack()
            self._running[name] = await stack.enter_async_context(self._start(**settings)), stack
        return self._running[name][0]

    async def stop(self, service: "Chat") -> None:
        name = next(name for name, (each, _) in self._running.items() if each is service)
        await self._running.pop(name)[1].aclose()

    async def stop_all(self) -> None:
        for service, _ in list(self._running.values()):
            await self.stop(service)


@pytest.fixture(scope="module")
async def services(start_chat: Callable[..., Any]) -> AsyncIterator[Services]:
    running = Services(start_chat)
    yield running
    await running.stop_all()


class Stage:
    """One scenario and its people: `ann` is the client's, `ben` owns the room and is the others."""

    def __init__(
        self,
        scenario: Step,
        services: Services,
        driver: "Driver",
        line: "Line",
        gateway: "Gateway",
    ) -> None:
        self.scenario = scenario
        self.services = services
        self.driver = driver
        self.line = line
        self.gateway = gateway
        self.stack = AsyncExitStack()
        self.words: dict[str, Any] = {}
        self.floor = 0
        self.subscriptions = 0
        self.attempt = 1
        self.time_scale = scenario.get("time_scale", TIME_SCALE)
        self.perm_versions = [0]
        self.token_ends_at = 0.0

    async def set(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.service = await self.services.get(self.scenario.get("service", {}))
        self.line.target_port = self.service.live.listener.port
        self.ann, self.ben = self.service.person(), self.service.person()
        room = await self.ben.room(self.ann)
        private_room = await self.ben.room(is_private=True)
        first = await self.ben.post(room, "The first.")
        self.words = {
            "$room": str(room),
            "$private_room": str(private_room),
            "$message": first["id"],
            "$epoch": "1",
            "$head": first["seq"],
        }
        self.gateway.read = lambda path: self.ann.ok("GET", path)
        self.gateway.credential = self.credential
        self._count_subscriptions(monkeypatch)
        opening = {"gateway": self.gateway.url, "token": "ann", "time_scale": self.time_scale}
        await self.driver.tell({"do": "open", **opening})
        await self.driver.see({"saw": "connected", "number": 1})
        if self.scenario.get("follow", True):
            await self.client("follow", {})
            await self.expect_listening()

    async def clear(self) -> None:
        self.service.live.listener.draining = False
        await self.stack.aclose()

    @property
    def room(self) -> UUID:
        return UUID(self.words["$room"])

    async def play(self, step: Step) -> None:
        step = self._filled(step)
        verb, what = next(iter(step.items()))
        rest = {name: value for name, value in step.items() if name != verb}
        if verb == "client":
            await self.client(what, rest)
        elif verb == "see":
            for _ in range(rest.pop("times", 1)):
                report = await self.driver.see({"saw": what, **rest})
            if what == "read":
                self.floor = report["seq"]
        else:
            await getattr(self, f"{verb}_{what}")(**rest)

    async def client(self, do: str, rest: Step) -> None:
        if do in ("follow", "read", "send", "command"):
            rest = {"room": str(self.room), **rest}
        if do == "follow" and rest["room"] == str(self.room):
            self.floor = rest.get("cursor", {}).get("seq", await self._head())
        for _ in range(rest.pop("times", 1)):
            cid = {"cid": str(uuid4())} if do == "send" else {}
            await self.driver.tell({"do": do, **cid, **rest})

    # The line and the gateway.

    async def line_hold(self) -> None:
        self.line.hold()

    async def line_release(self) -> None:
        self.line.release()

    async def line_cut(self) -> None:
        self.line.cut()

    async def gateway_works(self) -> None:
        self.gateway.does = "works"

    async def gateway_fails(self) -> None:
        self.gateway.does = "fails"

    async def gateway_knows_nobody(self) -> None:
        self.gateway.does = "knows_nobody"

    def credential(self) -> dict[str, str]:
        if self.scenario.get("credential") == "token":
            keys, who = self.service.keys, {"session_id": self.ann.session_id}
            if self.gateway.given > 1:
                return {"url": self.line.url, "token": keys.access_token(self.ann.id, **who)}
            self.token_ends_at = int(time.time()) + TOKEN_SECONDS
            token = keys.access_token(self.ann.id, **who, exp=int(self.token_ends_at))
            return {"url": self.line.url, "token": token}
        latest = len(self.perm_versions) == 1
        version = self.perm_versions[0] if latest else self.perm_versions.pop(0)
        return {"url": self.line.url, "ticket": self.ann.ticket(perm_v=version)}

    # The service.

    async def server_closes(self, code: int) -> None:
        if code == BY_LINE:
            return self.line.cut()
        self.line.count_from_here()
        for connection in list(self.service.live.listener.connections):
            connection.close(code, "")

    async def server_says(self, frame: Any) -> None:
        for connection in list(self.service.live.listener.connections):
            connection.send(json.dumps(frame).encode())

    async def server_refuses_upgrades(self) -> None:
        self.service.live.listener.draining = True

    async def server_accepts_upgrades(self) -> None:
        self.service.live.listener.draining = False

    async def server_is_replaced(self) -> None:
        old = self.service
        self.service = await self.services.get({"log_level": "critical"})
        self.line.target_port = self.service.live.listener.port
        await self.services.stop(old)
        for person in (self.ann, self.ben):
            person.ask._client = self.service.http

    async def server_changes_role(self) -> None:
        self.perm_versions = [0, 1]
        changed = RoleChanged(
            user_id=self.ann.id,
            role="USER",
            changed_by=self.ben.id,
            changed_at=utc_now(),
            perm_version=1,
        )
        await self.service.publish(changed)

    async def server_revokes_session(self) -> None:
        revoked = SessionRevoked(
            user_id=self.ann.id,
            session_id=self.ann.session_id,
            reason="revoked",
            revoked_at=utc_now(),
        )
        await self.service.publish(revoked)

    async def server_gets_too_many_sockets(self) -> None:
        for _ in range(SOCKETS_PER_USER_MAX):
            await self.stack.enter_async_context(self.ann.socket(via=self.service))

    # The others.

    async def others_post(self, count: int, length: int = 5) -> None:
        for _ in range(count):
            self.words["$head"] = (await self.ben.post(self.room, "x" * length))["seq"]

    async def others_kick(self) -> None:
        act = {"kind": "kick", "user_id": str(self.ann.id), "reason": "a scenario"}
        await self.ben.ok("POST", f"/chat/rooms/{self.room}/moderation", json=act)

    async def others_do_what_nobody_knows(self) -> None:
        """The service of a later release has written to the log."""
        recording = self.service.live.edge._serving._desk.recording
        async with self.service.live.db.begin() as tx:
            await lock_room(tx, self.room)
            change = Change(type=LATER_TYPE, data={"news": [1, 2]})
            await record_one(tx, recording, self.room, change)

    # What must be so, at the latest after a while.

    async def expect_listening(self) -> None:
        hub = self.service.live.hub
        await eventually(
            lambda: any(
                client.user_id == self.ann.id and self.room in hub.rooms_of(client)
                for client in self.service.live.edge.clients()
            )
        )

    async def expect_heard(self) -> None:
        """Everything of the log that is later than where the client began, once and in order."""
        items = await self.ben.events(self.room, after_seq=self.floor)
        wanted = [event["seq"] for event in items if event["t"] != LATER_TYPE]

        def heard() -> bool:
            seqs = [
                report["seq"]
                for report in self.driver.reports
                if report["saw"] == "event"
                and report["room"] == str(self.room)
                and report["seq"] > self.floor
                and report["t"] != LATER_TYPE
            ]
            assert seqs == wanted
            return True

        await eventually(heard, timeout_seconds=WAIT_SECONDS_MAX)

    async def expect_messages(self, count: int) -> None:
        """Of the client's person."""

        async def committed() -> bool:
            page = await self.ben.ok("GET", f"/chat/rooms/{self.room}/messages?limit=100")
            theirs = [m for m in page["items"] if m["author"]["user_id"] == str(self.ann.id)]
            assert len(theirs) == count
            return True

        await eventually(committed, timeout_seconds=WAIT_SECONDS_MAX)

    async def expect_reports(self, count: int) -> None:
        async def reported() -> bool:
            page = await self.ben.ok("GET", f"/chat/rooms/{self.room}/reports")
            return len(page["items"]) == count

        await eventually(reported, timeout_seconds=WAIT_SECONDS_MAX)

    async def expect_attempts(self, count: int) -> None:
        self.attempt = count
        await eventually(
            lambda: len(self.line.accepted_at) >= self.line.mark + count,
            timeout_seconds=WAIT_SECONDS_MAX,
        )

    async def expect_away(self, at_least_ms: float = 0, at_least_unscaled_ms: float = 0) -> None:
        """Since the connection ended, until the attempt that was last waited for."""
        await self.expect_attempts(self.attempt)
        came_at = self.line.accepted_at[self.line.mark + self.attempt - 1]
        away_ms = (came_at - self.line.marked_at) * 1000
        least_ms = at_least_ms * self.time_scale + at_least_unscaled_ms
        assert away_ms >= least_ms - TIMERS_DIFFER_MS

    async def expect_connections(self, count: int) -> None:
        assert len(self.line.accepted_at) == count

    async def expect_tickets(self, count: int) -> None:
        assert self.gateway.given == count

    async def expect_snapshots_asked(self, count: int) -> None:
        asked = [report for report in self.driver.reports if report["saw"] == "snapshot_needed"]
        assert len(asked) == count

    async def expect_refused_tickets(self, count: int) -> None:
        await eventually(lambda: self.gateway.refused >= count, timeout_seconds=WAIT_SECONDS_MAX)

    async def expect_subscriptions(self, count: int) -> None:
        await eventually(lambda: self.subscriptions == count)

    async def expect_left_out(self) -> None:
        audience = self.service.live.hub.audience(self.room)
        assert audience is not None
        await eventually(lambda: audience.slow)

    async def expect_token_renewed(self) -> None:
        await eventually(
            lambda: self.gateway.given > 1 and time.time() > self.token_ends_at,
            timeout_seconds=WAIT_SECONDS_MAX,
        )

    async def expect_clock_offset(self, near_ms: float) -> None:
        async def told() -> bool:
            await self.driver.tell({"do": "clock"})
            offset_ms = (await self.driver.see({"saw": "clock"}))["offset_ms"]
            return offset_ms is not None and abs(offset_ms - near_ms) < near_ms / 2

        await eventually(told, timeout_seconds=WAIT_SECONDS_MAX)

    # Inside.

    async def _head(self) -> int:
        room = await self.ben.ok("GET", f"/chat/rooms/{self.room}")
        self.words["$head"] = room["last_seq"]
        return int(room["last_seq"])

    def _filled(self, value: Any) -> Any:
        match value:
            case dict():
                return {name: self._filled(part) for name, part in value.items()}
            case list():
                return [self._filled(part) for part in value]
            case str():
                return self.words.get(value, value)
        return value

    def _count_subscriptions(self, monkeypatch: pytest.MonkeyPatch) -> None:
        serving = self.service.live.edge._serving
        subscribe = serving._subscribe

        async def counted(*arguments: Any) -> None:
            self.subscriptions += 1
            await subscribe(*arguments)

        monkeypatch.setattr(serving, "_subscribe", counted)


@pytest.mark.parametrize("scenario", expanded(), ids=lambda scenario: scenario["name"])
async def test_a_client_plays(
    scenario: Step,
    driver: "Driver",
    line: "Line",
    gateway: "Gateway",
    services: Services,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ahead_seconds = scenario.get("server_clock_ahead_ms", 0) / 1000
    ahead = SimpleNamespace(time=lambda: time.time() + ahead_seconds)
    for module in (websocket_module, serving_module):
        monkeypatch.setattr(module, "time", ahead)
    stage = Stage(scenario, services, driver, line, gateway)
    try:
        await stage.set(monkeypatch)
        for step in scenario["steps"]:
            await stage.play(step)
    finally:
        await driver.close()
        await stage.clear()
