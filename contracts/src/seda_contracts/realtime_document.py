"""The protocol of the socket as one AsyncAPI 3.0 document, and as a judge of single frames."""

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from seda_contracts import realtime
from seda_contracts.realtime_codes import CLOSES, ERRORS
from seda_contracts.realtime_events import EPHEMERALS, EVENTS, REPLIES, STATES

Document = dict[str, Any]
SCHEMAS = "#/components/schemas/"
CONTROLS: tuple[type[msgspec.Struct], ...] = (
    realtime.Welcome,
    realtime.Ready,
    realtime.Live,
    realtime.Lagged,
    realtime.Unsub,
    realtime.Notice,
    realtime.Drain,
    realtime.AuthExpiring,
    realtime.HeartbeatOk,
)
"""What the server says that is neither a reply nor something that happened in a room."""
_CONTROLS = {str(control.__struct_config__.tag): control for control in CONTROLS}
_CARRIERS: Mapping[str, tuple[type[msgspec.Struct], Mapping[str, type[msgspec.Struct]]]] = {
    "ev": (realtime.EventFrame, EVENTS),
    "st": (realtime.StateFrame, STATES),
    "ep": (realtime.EphemeralFrame, EPHEMERALS),
}


class NoSuchFrame(ValueError):
    """The server may not say this."""


def check_server_frame(frame: Mapping[str, Any], *, reply_to: str | None = None) -> None:
    """Raises NoSuchFrame unless the frame is one the protocol has, field by field.

    `reply_to` is the op of the command that an `ok` answers, when it is known.
    """
    try:
        _check(frame, reply_to)
    except msgspec.ValidationError as error:
        raise NoSuchFrame(f"{frame}: {error}") from error


def _check(frame: Mapping[str, Any], reply_to: str | None) -> None:
    op = frame.get("op")
    if op is None:
        shape = realtime.Refused if "err" in frame else realtime.Accepted
        msgspec.convert(frame, shape)
        if "err" in frame and frame["err"]["code"] not in ERRORS:
            raise NoSuchFrame(f"unknown code {frame['err']['code']}")
        if "ok" in frame and reply_to is not None:
            _convert_whole(frame["ok"], REPLIES[reply_to])
    elif op in _CARRIERS:
        carrier, kinds = _CARRIERS[op]
        msgspec.convert(frame, carrier)
        if frame["t"] not in kinds:
            raise NoSuchFrame(f"unknown type {op} {frame['t']}")
        _convert_whole(frame["d"], kinds[frame["t"]])
    elif op in _CONTROLS:
        _convert_whole(frame, _CONTROLS[op])
    else:
        raise NoSuchFrame(f"unknown op {op}")


def _convert_whole(value: Any, shape: type[msgspec.Struct]) -> None:
    """A field that no struct has would be one that no client is told of."""
    msgspec.convert(value, shape)
    known = {field.encode_name for field in msgspec.structs.fields(shape)} | {"op"}
    unknown = set(value) - known
    if unknown:
        raise NoSuchFrame(f"{shape.__name__} has no {sorted(unknown)}")


def document() -> Document:
    """Both directions, each command with its reply."""
    messages = {**_commands(), **_replies(), **_server_frames()}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "seda.rt.v1",
            "version": "1.0.0",
            "description": (
                "The live socket of seda.fm. A text frame holds one object or an array of objects. "
                "Readers ignore fields they do not know, skip types they do not know and count "
                "their `seq`. Generated from the registry of contracts."
            ),
        },
        "defaultContentType": "application/json",
        "servers": {
            "chat": {
                "host": "{host}",
                "pathname": "/api/v1/realtime",
                "protocol": "ws",
                "variables": {"host": {"default": "localhost:3014"}},
            }
        },
        "channels": {
            "socket": {
                "address": "/api/v1/realtime",
                "description": f"Subprotocol `{realtime.SUBPROTOCOL}`; no query, no token in it.",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
                "x-close-codes": {
                    str(code): msgspec.to_builtins(close) for code, close in CLOSES.items()
                },
                "x-error-codes": dict(ERRORS),
            }
        },
        "operations": _operations(messages),
        "components": {"messages": messages, "schemas": schemas(f"{SCHEMAS}{{name}}")},
    }


def _operations(messages: Mapping[str, Any]) -> Document:
    channel = {"$ref": "#/channels/socket"}

    def of(names: Iterable[str]) -> list[Document]:
        return [{"$ref": f"#/channels/socket/messages/{name}"} for name in names]

    told = [name for name in messages if name.startswith(("ev.", "st.", "ep.", "control."))]
    operations: Document = {
        "tell": {"action": "send", "channel": channel, "messages": of(told)},
    }
    answers = {"hello": "control.ready", "hb": "control.hb.ok"}
    for op in realtime.BODIES:
        reply = answers.get(op, f"ok.{op}")
        operations[op] = {
            "action": "receive",
            "channel": channel,
            "messages": of([f"command.{op}"]),
            "reply": {"channel": channel, "messages": of([reply, "err"])},
        }
    return operations


def _commands() -> Document:
    found = {}
    for op, body in realtime.BODIES.items():
        properties: Document = {
            "op": {"const": op},
            "id": {"type": "integer", "minimum": 0, "maximum": 2**53},
            "d": {"$ref": f"{SCHEMAS}{body.__name__}"},
        }
        required = ["op", "id"]
        if op not in realtime.WITHOUT_ROOM:
            properties["room"] = {"type": "string", "format": "uuid"}
            required.append("room")
        found[f"command.{op}"] = _message(op, body, properties, required)
    return found


def _replies() -> Document:
    number = {"id": {"type": "integer"}}
    found = {
        f"ok.{op}": _message(
            f"ok.{op}", ok, {**number, "ok": {"$ref": f"{SCHEMAS}{ok.__name__}"}}, ["id", "ok"]
        )
        for op, ok in REPLIES.items()
    }
    failure = {**number, "err": {"$ref": f"{SCHEMAS}Failure"}}
    return {**found, "err": _message("err", realtime.Failure, failure, ["id", "err"])}


def _server_frames() -> Document:
    found: Document = {}
    for op, (carrier, kinds) in _CARRIERS.items():
        for kind, body in kinds.items():
            schema = {
                "allOf": [
                    {"$ref": f"{SCHEMAS}{carrier.__name__}"},
                    {
                        "properties": {
                            "t": {"const": kind},
                            "d": {"$ref": f"{SCHEMAS}{body.__name__}"},
                        }
                    },
                ]
            }
            found[f"{op}.{kind}"] = {**_named(f"{op}.{kind}", body), "payload": schema}
    for op, control in _CONTROLS.items():
        name = f"control.{op}"
        found[name] = {
            **_named(name, control),
            "payload": {"$ref": f"{SCHEMAS}{control.__name__}"},
        }
    return found


def _message(
    name: str, body: type[msgspec.Struct], properties: Document, required: list[str]
) -> Document:
    payload = {"type": "object", "properties": properties, "required": required}
    return {**_named(name, body), "payload": payload}


def _named(name: str, body: type[msgspec.Struct]) -> Document:
    text = vars(body).get("__doc__")
    return {"name": name, **({"summary": inspect.cleandoc(text)} if text else {})}


def schemas(ref_template: str) -> dict[str, Document]:
    """Every struct of the socket once, by name; they refer to each other by the template."""
    structs: list[type[msgspec.Struct]] = [
        *realtime.BODIES.values(),
        *REPLIES.values(),
        *EVENTS.values(),
        *STATES.values(),
        *EPHEMERALS.values(),
        *(carrier for carrier, _ in _CARRIERS.values()),
        *CONTROLS,
        realtime.Failure,
    ]
    _, components = msgspec.json.schema_components(
        list(dict.fromkeys(structs)), ref_template=ref_template
    )
    return components
