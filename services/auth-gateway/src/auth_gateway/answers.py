"""Problem answers from edges that stand outside the framework: the proxy, and what surrounds it."""

from collections.abc import Sequence

from litestar.types import HTTPScope, Send
from seda_runtime.problems import PROBLEM_JSON, Problem, problem_body


async def send_problem(
    scope: HTTPScope,
    send: Send,
    problem: Problem,
    headers: Sequence[tuple[bytes, bytes]] = (),
) -> None:
    """The whole answer, looking as it would from a route."""
    body = problem_body(
        problem,
        path=scope["path"],
        method=str(scope["method"]),
        request_id=str(scope["state"].get("request_id", "")),
    )
    described = [
        (b"content-type", PROBLEM_JSON.encode()),
        (b"content-length", str(len(body)).encode()),
        *headers,
    ]
    await send({"type": "http.response.start", "status": problem.status, "headers": described})
    await send({"type": "http.response.body", "body": body, "more_body": False})
