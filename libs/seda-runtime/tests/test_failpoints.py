"""A failpoint does what it is armed for, where it is armed, and never in production."""

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from seda_runtime.failpoints import FailpointReached, arm_failpoints, failpoint
from seda_runtime.settings import ServiceSettings, SettingsError, load

REQUIRED = {"PORT": "0", "DATABASE_URL": "postgresql://h/d", "NATS_URL": "nats://h"}
DIES = """
from seda_runtime.failpoints import arm_failpoints, failpoint
arm_failpoints("here:kill:1")
failpoint("elsewhere")
print("alive", flush=True)
failpoint("here")
print("still alive", flush=True)
"""


@pytest.fixture(autouse=True)
def nothing_armed() -> Iterator[None]:
    yield
    arm_failpoints(None)


def test_a_kill_ends_the_process_at_that_place_and_at_no_other() -> None:
    ended = subprocess.run([sys.executable, "-c", DIES], capture_output=True, text=True, timeout=30)
    assert ended.returncode == -signal.SIGKILL
    assert ended.stdout == "alive\n"


def test_an_error_is_raised_as_often_as_was_asked() -> None:
    arm_failpoints("always:error:1,never:error:0")
    failpoint("never")
    with pytest.raises(FailpointReached, match="always"):
        failpoint("always")


def test_nothing_happens_where_nothing_is_armed() -> None:
    arm_failpoints("here:kill:1")
    arm_failpoints(None)
    failpoint("here")


@pytest.mark.parametrize(
    "text", ["here", "here:explode:1", ":kill:1", "here:kill:", "here:kill:2", "here:kill:-1"]
)
def test_a_malformed_one_is_refused_at_start(text: str) -> None:
    with pytest.raises(SettingsError, match="SEDA_FAILPOINT"):
        load(ServiceSettings, REQUIRED | {"SEDA_FAILPOINT": text})


def test_production_refuses_to_start_with_one() -> None:
    told = REQUIRED | {"SEDA_FAILPOINT": "outbox.after_commit:kill:0.05"}
    assert load(ServiceSettings, told).seda_failpoint is not None
    for env in ("qa", "sandbox", "production"):
        with pytest.raises(SettingsError, match="SEDA_FAILPOINT"):
            load(ServiceSettings, told | {"ENV": env})
