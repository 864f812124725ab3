"""Logs are one JSON line each and hold no secret."""

import json
import logging

import pytest
from seda_runtime.logging import configure_logging, get_logger


@pytest.fixture(autouse=True)
def configured() -> None:
    configure_logging(service="example", version="1", env="test", level="info")


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_values_under_secret_names_are_cut(capsys: pytest.CaptureFixture[str]) -> None:
    get_logger("t").info("login", email="a@b.example", password="hunter2", user_id="7")
    (line,) = lines(capsys)
    assert (line["email"], line["password"], line["user_id"]) == ("[cut]", "[cut]", "7")
    assert (line["service"], line["env"], line["level"]) == ("example", "test", "info")


def test_a_forged_line_stays_inside_its_string(capsys: pytest.CaptureFixture[str]) -> None:
    get_logger("t").info("said", note='x"}\n{"event":"forged"}\x1b[31m')
    assert [line["event"] for line in lines(capsys)] == ["said"]


def test_the_standard_librarys_loggers_speak_json_too(capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger("some.library").warning("slow query, %d ms", 7)
    (line,) = lines(capsys)
    assert (line["event"], line["level"]) == ("slow query, 7 ms", "warning")
