"""The published examples, fed to the session as bytes: what clients are shown is what is heard."""

from pathlib import Path

import pytest
from chat_realtime.live import session as session_module
from chat_realtime.live.session import Close, Command, Session, SessionLimits
from seda_contracts import realtime
from seda_contracts.realtime_codes import CLOSES

EXAMPLES = Path(__file__).parents[4] / "contracts/examples/socket/client"
VECTORS = {path.stem: path.read_bytes() for path in sorted(EXAMPLES.glob("*.json"))}


def greeted() -> Session:
    session = Session(SessionLimits(), now=0)
    session.receive(VECTORS["hello"], now=0)
    return session


@pytest.mark.parametrize("op", sorted(set(VECTORS) - {"hello"}))
def test_an_example_is_a_command(op: str) -> None:
    (decision,) = greeted().receive(VECTORS[op], now=0)
    assert isinstance(decision, Command)
    assert (decision.op, type(decision.body)) == (op, realtime.BODIES[op])


def test_several_examples_in_one_frame_are_as_many_commands() -> None:
    batch = b"[" + b",".join(VECTORS[op] for op in ("msg.send", "react.add", "hb")) + b"]"
    decisions = greeted().receive(batch, now=0)
    assert [type(decision) for decision in decisions] == [Command] * 3


@pytest.mark.parametrize("op", sorted(set(VECTORS) - {"hello"}))
def test_an_example_before_hello_closes_as_no_command(op: str) -> None:
    (decision,) = Session(SessionLimits(), now=0).receive(VECTORS[op], now=0)
    assert isinstance(decision, Close)
    assert decision.code == 4500


def test_every_code_the_session_closes_with_is_published() -> None:
    codes = {value for name, value in vars(session_module).items() if name.startswith("CLOSE_")}
    assert codes <= set(CLOSES)
