"""The socket's protocol: every word of it has an example, and the examples are test vectors."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from seda_contracts import realtime
from seda_contracts.realtime_codes import CLOSES, ERRORS, reaction_to
from seda_contracts.realtime_document import CONTROLS, NoSuchFrame, check_server_frame, document
from seda_contracts.realtime_events import EPHEMERALS, EVENTS, REPLIES, STATES

EXAMPLES = Path(__file__).parents[1] / "examples/socket"
CLIENT = {path.stem: path.read_bytes() for path in sorted((EXAMPLES / "client").glob("*.json"))}
SERVER: dict[str, Any] = {
    path.stem: json.loads(path.read_bytes())
    for path in sorted((EXAMPLES / "server").glob("*.json"))
}


def test_every_word_of_the_protocol_has_an_example_and_no_example_is_of_another() -> None:
    """A new op, type, reply or code is missing here until its example stands beside the others."""
    assert set(CLIENT) == set(realtime.BODIES)
    assert set(SERVER) == {
        *(f"ev.{kind}" for kind in EVENTS),
        *(f"st.{kind}" for kind in STATES),
        *(f"ep.{kind}" for kind in EPHEMERALS),
        *(f"ok.{op}" for op in REPLIES),
        *(f"err.{code}" for code in ERRORS),
        *(f"control.{control.__struct_config__.tag}" for control in CONTROLS),
    }


@pytest.mark.parametrize("op", sorted(CLIENT))
def test_what_a_client_may_say_is_understood(op: str) -> None:
    envelope = msgspec.json.decode(CLIENT[op], type=realtime.Envelope)
    body = msgspec.json.decode(envelope.d, type=realtime.BODIES[op])
    assert (envelope.op, type(body)) == (op, realtime.BODIES[op])
    assert (envelope.room is None) == (op in realtime.WITHOUT_ROOM)


@pytest.mark.parametrize("name", sorted(SERVER))
def test_what_a_server_may_say_is_in_the_protocol(name: str) -> None:
    kind, _, rest = name.partition(".")
    check_server_frame(SERVER[name], reply_to=rest if kind == "ok" else None)


@pytest.mark.parametrize("name", sorted(SERVER))
def test_fields_that_nobody_knows_are_left_for_a_later_release(name: str) -> None:
    """Readers ignore them; only our own server may not say them."""
    more = {**SERVER[name], "later": 1}
    if "d" in more:
        more["d"] = {**more["d"], "later": 1}
    shape = msgspec.convert(more, dict)
    assert shape["later"] == 1
    if name.startswith(("ev.", "st.")):
        with pytest.raises(NoSuchFrame):
            check_server_frame(more)


@pytest.mark.parametrize(
    "frame",
    [
        {"op": "ev", "room": "x"},
        {"op": "hello"},
        {"id": 1, "err": {"code": "surprise", "retry": "never"}},
        {**SERVER["ev.message.created"], "t": "message.sung"},
        {**SERVER["ev.reaction.changed"], "d": {"emoji": "x"}},
    ],
)
def test_the_judge_refuses_what_is_not_in_the_protocol(frame: dict[str, Any]) -> None:
    with pytest.raises(NoSuchFrame):
        check_server_frame(frame)


def test_every_command_has_a_reply() -> None:
    assert set(REPLIES) == set(realtime.BODIES) - {"hello", "hb"}


def test_an_example_of_an_error_says_when_to_try_again() -> None:
    for code, retry in ERRORS.items():
        failure = SERVER[f"err.{code}"]["err"]
        assert (failure["code"], failure["retry"]) == (code, retry)


@pytest.mark.parametrize(
    ("code", "reaction"),
    [
        (1000, "stop"),
        (1006, "resume"),
        (None, "resume"),
        (1012, "resume"),
        (1013, "resume"),
        (4003, "resume_with_new_ticket"),
        (4029, "resume"),
        (4499, "resume"),
        (4500, "stop"),
        (4999, "stop"),
        (3000, "resume"),
    ],
)
def test_the_range_decides_for_a_code_that_nobody_knows(code: int | None, reaction: str) -> None:
    assert reaction_to(code).reaction == reaction


def test_the_table_of_closes_keeps_to_its_ranges() -> None:
    for code, close in CLOSES.items():
        if code >= 4000:
            assert (close.reaction == "stop") == (code >= 4500), code


def test_the_document_has_every_command_with_its_reply() -> None:
    made = document()
    assert set(made["operations"]) == {"tell", *realtime.BODIES}
    assert set(made["channels"]["socket"]["x-close-codes"]) == {str(code) for code in CLOSES}
