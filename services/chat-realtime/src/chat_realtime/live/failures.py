"""Errors as a socket reply tells them: the codes of `seda.rt.v1`, and whether to try again."""

from seda_contracts.realtime import Failure
from seda_contracts.realtime_codes import ERRORS
from seda_runtime.problems import Problem

from chat_realtime.live.domain import SessionEnded
from chat_realtime.problems import PROBLEMS

_BY_STATUS = {
    400: "bad_request",
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    503: "unavailable",
}


def failure_of(error: BaseException) -> Failure:
    """An error nobody mapped is `internal` and tells nothing of itself."""
    for kind in type(error).__mro__:
        problem = PROBLEMS.get(kind)
        if problem is not None:
            return _from_problem(problem, error)
    if isinstance(error, ConnectionError):
        return _failure("unavailable", "A part of the platform is not reachable right now.")
    return _failure("internal", "Internal server error")


def _from_problem(problem: Problem, error: BaseException) -> Failure:
    code = problem.code
    if code not in ERRORS:
        code = _BY_STATUS.get(problem.status, "bad_request")
    if isinstance(error, SessionEnded):
        return Failure(code=code, retry="never", msg=problem.title)
    seconds = getattr(error, "retry_after_seconds", None)
    retry_ms = None if seconds is None else int(seconds) * 1000
    retry_ms = getattr(error, "retry_ms", retry_ms)
    return Failure(code=code, retry=ERRORS[code], msg=problem.title, retry_ms=retry_ms)


def _failure(code: str, message: str) -> Failure:
    return Failure(code=code, retry=ERRORS[code], msg=message)
