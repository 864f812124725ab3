"""One event as it was seen on the wire, by whoever published it: nothing in it is believed."""

import base64
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from seda_contracts.base import Contract
from seda_contracts.registry import BY_TYPE
from seda_messaging.reading import PermanentFailure, read_message

PREFIXES = ("seda.evt.", "seda.cmd.", "seda.state.")
DEPTH_MAX = 100
"""Contracts nest three deep; deeper bodies are shown as bytes, not taken apart."""


class Sighting(msgspec.Struct, frozen=True, kw_only=True):
    """The keys of `seda events tail --json`."""

    time: datetime
    """What the event says of itself; where it says nothing sound, when it was stored or seen."""
    type: str
    """From the subject, which the broker's permissions guard."""
    key: str
    source: str
    """The service that claims to have said it; empty when none does."""
    trace_id: str
    event_id: str
    subject: str
    problem: str
    """Why a consumer would bury it; empty when none would."""
    data: Any
    """The body; None when it is no JSON, and then `body_base64` has it."""
    body_base64: str | None


def sighting(subject: str, headers: Mapping[str, str], body: bytes, seen_at: datetime) -> Sighting:
    data = read_json(body)
    is_json = data is not msgspec.UNSET
    return Sighting(
        time=_time(headers) or seen_at,
        type=type_of(subject),
        key=subject.rpartition(".")[2],
        source=headers.get("ce-source", "").removeprefix("/seda/"),
        trace_id=trace_of(headers),
        event_id=headers.get("ce-id", ""),
        subject=subject,
        problem=problem_of(subject, headers, body) or "",
        data=data if is_json else None,
        body_base64=None if is_json else base64.b64encode(body).decode(),
    )


def type_of(subject: str) -> str:
    """`chat.message.sent.v1` of `seda.evt.chat.message.sent.v1.<key>`, known or not."""
    for prefix in PREFIXES:
        if subject.startswith(prefix):
            return subject.removeprefix(prefix).rpartition(".")[0]
    return ""


def contract_of(subject: str) -> type[Contract] | None:
    """The contract whose subject this is, kind and all."""
    entry = BY_TYPE.get(type_of(subject))
    if entry is None or not subject.startswith(entry.contract.subject_filter()[:-1]):
        return None
    return entry.contract


def problem_of(subject: str, headers: Mapping[str, str], body: bytes) -> str | None:
    """Why today's consumers would give it up; None when they would take it."""
    contract = contract_of(subject)
    if contract is None:
        return f"unknown type {type_of(subject) or subject}"
    try:
        read_message(contract, subject, headers, body)
    except PermanentFailure as failure:
        return str(failure)
    return None


def trace_of(headers: Mapping[str, str]) -> str:
    """The trace id of a `traceparent`; empty when there is none."""
    parts = headers.get("traceparent", "").split("-")
    return parts[1] if len(parts) == 4 else ""


def read_json(body: bytes) -> Any:
    """UNSET for what is no JSON, or is JSON made to exhaust its reader."""
    if _depth(body) > DEPTH_MAX:
        return msgspec.UNSET
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        return msgspec.UNSET


def _depth(body: bytes) -> int:
    """At least as deep as it nests: brackets inside strings are counted too."""
    depth = deepest = 0
    for byte in body:
        if byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    return deepest


def _time(headers: Mapping[str, str]) -> datetime | None:
    try:
        found = datetime.fromisoformat(headers["ce-time"].replace("Z", "+00:00"))
    except (KeyError, ValueError):
        return None
    return found if found.tzinfo else None
