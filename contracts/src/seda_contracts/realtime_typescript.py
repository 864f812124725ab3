"""TypeScript of the socket: a type for every shape, and its tables of codes as values."""

from collections.abc import Mapping

import msgspec

from seda_contracts import realtime
from seda_contracts.realtime_codes import CLOSES, ERRORS
from seda_contracts.realtime_document import CONTROLS, schemas
from seda_contracts.realtime_events import EPHEMERALS, EVENTS, REPLIES, STATES
from seda_contracts.typescript import HEAD, REF, block, interface, quoted

CLOSE = """\
export type Reaction = "resume" | "resume_with_new_ticket" | "stop";

export interface Close {
  readonly meaning: string;
  readonly reaction: Reaction;
  readonly delay_ms: number;
}
"""


def module() -> str:
    shapes = schemas(REF + "{name}")
    controls = {str(control.__struct_config__.tag): control for control in CONTROLS}
    return "\n".join(
        [
            HEAD,
            *(interface(name, shapes[name]) for name in sorted(shapes)),
            _rows("What stands in `d` of each command.", "Commands", realtime.BODIES),
            _rows("What stands in `ok` of each reply.", "Replies", REPLIES),
            _rows("What stands in `d` of each event.", "Events", EVENTS),
            _rows("What stands in `d` of each state.", "States", STATES),
            _rows("What stands in `d` of each ephemeral.", "Ephemerals", EPHEMERALS),
            _rows("What else the server says, by `op`.", "Controls", controls),
            f"export const SUBPROTOCOL = {quoted(realtime.SUBPROTOCOL)};\n",
            f"export const VERSION = {realtime.VERSION};\n",
            _table(
                "Every type of event that this release knows.",
                "EVENT_TYPES",
                {kind: "true" for kind in EVENTS},
                "Record<keyof Events, true>",
            ),
            _table(
                "Whether a refused command may be tried again.",
                "ERRORS",
                {code: quoted(retry) for code, retry in ERRORS.items()},
                'Record<string, Failure["retry"]>',
            ),
            CLOSE,
            block(
                "/** What a close code asks of a client. The range decides about those that are\n"
                " * not here: 4500 to 4999 are final. */\n"
                "export const CLOSES: Readonly<Record<number, Close>> =",
                [f"{code}: {_value(close)}," for code, close in CLOSES.items()],
            ).rstrip()
            + ";\n",
        ]
    )


def _rows(text: str, name: str, shapes: Mapping[str, type[msgspec.Struct]]) -> str:
    lines = [f"{quoted(key)}: {shape.__name__};" for key, shape in shapes.items()]
    return block(f"/** {text} */\nexport interface {name}", lines)


def _table(text: str, name: str, values: Mapping[str, str], kind: str) -> str:
    lines = [f"{quoted(key)}: {value}," for key, value in values.items()]
    return (
        block(f"/** {text} */\nexport const {name} =", lines).rstrip()
        + f" as const satisfies {kind};\n"
    )


def _value(close: msgspec.Struct) -> str:
    fields = msgspec.to_builtins(close)
    return "{ " + ", ".join(f"{key}: {_literal(value)}" for key, value in fields.items()) + " }"


def _literal(value: object) -> str:
    return msgspec.json.encode(value).decode()
