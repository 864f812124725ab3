"""What every service answers to bad requests, and what it tells operators."""

import json

import httpx
import msgspec
import pytest
from litestar import Litestar, get, post
from litestar.params import FromPath, JSONBody
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from seda_runtime.application import build_app
from seda_runtime.problems import Problem
from seda_runtime.settings import ServiceSettings

SETTINGS = ServiceSettings(env="test", port=0, database_url="-", nats_url="-", trace_sample_ratio=1)


class Gone(Exception):
    retry_after_seconds = 7


class Greeting(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    times: int


@get("/gone", operation_id="GetGone")
async def gone() -> None:
    raise Gone("It went away.")


@get("/broken", operation_id="GetBroken")
async def broken() -> None:
    raise RuntimeError("SELECT secret FROM vault")


@get("/offline", operation_id="GetOffline")
async def offline() -> None:
    raise ConnectionError("host db-host is away")


@get("/number/{number:int}", operation_id="GetNumber")
async def number(number: FromPath[int]) -> dict[str, int]:
    return {"number": number}


@post("/greetings", operation_id="Greet")
async def greet(data: JSONBody[Greeting]) -> dict[str, str]:
    return {"text": data.name * data.times}


def application(**checks: bool) -> Litestar:
    async def database() -> bool:
        return checks.get("database", True)

    async def nats() -> bool:
        return checks.get("nats", True)

    return build_app(
        SETTINGS,
        name="example",
        description="An example.",
        route_handlers=[gone, broken, offline, number, greet],
        problems={Gone: Problem(410, "gone", "It is gone.")},
        ready_checks={"database": database, "nats": nats},
    )


async def call(app: Litestar, method: str, path: str, **options: object) -> httpx.Response:
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.request(method, path, **options)  # type: ignore[arg-type]


@pytest.fixture
def app() -> Litestar:
    return application()


async def test_a_domain_error_is_a_problem_with_its_stable_code(app: Litestar) -> None:
    answer = await call(app, "GET", "/gone?x=1")
    assert answer.status_code == 410
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "7"
    body = answer.json()
    assert body["code"] == "gone"
    assert body["instance"] == body["path"] == "/gone"
    assert body["status"] == body["statusCode"] == 410
    assert body["message"] == ["It went away."]
    assert body["request_id"] == answer.headers["x-request-id"]
    assert body["method"] == "GET"
    assert body["timestamp"].endswith("Z")


async def test_an_unknown_error_tells_nothing_of_itself(app: Litestar) -> None:
    answer = await call(app, "GET", "/broken")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "vault" not in answer.text
    assert "Traceback" not in answer.text


async def test_a_lost_dependency_is_unavailable_not_a_fault(
    app: Litestar, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = await call(app, "GET", "/offline")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert "db-host" not in answer.text
    assert "db-host" in capsys.readouterr().out, "the operator is told why"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "a", "times": "b"}, "times"),
        ({"name": "a", "times": 1, "role": "ADMIN"}, "data"),
        ({"name": "a"}, "data"),
        ([], "data"),
    ],
)
async def test_a_body_that_does_not_fit_names_the_field(
    app: Litestar, body: object, field: str
) -> None:
    answer = await call(app, "POST", "/greetings", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "validation_failed")
    assert answer.json()["errors"][0]["field"] == field


@pytest.mark.parametrize(
    "content", [b"{", b"\xff", b"[" * 100_000, b'{"a":NaN}', b"", b'{"name":"\\ud800"}']
)
async def test_a_body_that_is_no_json_is_a_client_error(app: Litestar, content: bytes) -> None:
    headers = {"content-type": "application/json"}
    answer = await call(app, "POST", "/greetings", content=content, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["code"] in {"malformed_body", "validation_failed"}


async def test_a_body_over_the_limit_is_too_large(app: Litestar) -> None:
    content = b"x" * (SETTINGS.body_bytes_max + 1)
    headers = {"content-type": "application/json"}
    answer = await call(app, "POST", "/greetings", content=content, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/number/seven", 404, "not_found"),
        ("DELETE", "/greetings", 405, "method_not_allowed"),
    ],
)
async def test_what_no_route_answers_is_a_problem_too(
    app: Litestar, method: str, path: str, status: int, code: str
) -> None:
    answer = await call(app, method, path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_a_sound_request_id_is_kept_and_a_strange_one_replaced(app: Litestar) -> None:
    kept = await call(app, "GET", "/livez", headers={"x-request-id": "abcdefgh-1"})
    assert kept.headers["x-request-id"] == "abcdefgh-1"
    replaced = await call(app, "GET", "/livez", headers={"x-request-id": "a b\tc<script>"})
    assert replaced.headers["x-request-id"] != "a b\tc<script>"


async def test_liveness_depends_on_nothing_and_readiness_on_everything() -> None:
    app = application(nats=False)
    assert (await call(app, "GET", "/livez")).status_code == 200
    assert (await call(app, "GET", "/readyz")).status_code == 503
    health = await call(app, "GET", "/api/v1/health")
    assert (health.status_code, health.json()["status"]) == (200, "degraded")


async def test_health_is_unhealthy_without_the_database() -> None:
    health = await call(application(database=False), "GET", "/api/v1/health")
    assert (health.status_code, health.json()["status"]) == (503, "unhealthy")
    assert health.json()["checks"] == {"database": False, "nats": True}


async def test_the_log_line_has_the_route_and_never_the_path(
    app: Litestar, capsys: pytest.CaptureFixture[str]
) -> None:
    await call(app, "GET", "/number/41?token=hunter2")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    served = next(line for line in lines if line["event"] == "request.served")
    assert served["route"] == "/number/{number}"
    assert served["status"] == 200
    assert "hunter2" not in json.dumps(lines)


async def test_a_request_joins_the_callers_trace(
    app: Litestar, spans: InMemorySpanExporter
) -> None:
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    parent = {"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"}
    await call(app, "GET", "/number/41", headers=parent)
    finished = spans.get_finished_spans()
    assert [f"{s.context.trace_id:032x}" for s in finished if s.context] == [trace_id]
    assert finished[0].name == "GET /number/{number}"
