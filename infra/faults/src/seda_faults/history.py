"""What clients did and what they were told: the half of the truth that no service can rewrite."""

from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["sign-up", "message", "edit", "reaction"]
Outcome = Literal["invoked", "ok", "fail", "info"]
"""`info`: nobody can say. It may have happened or not, and either way is right."""


@dataclass(slots=True)
class Operation:
    """One intention of one client, however often it had to be sent.

    `key` names it for ever, on both sides: an e-mail address, a cid, message and text, message and
    emoji.
    """

    kind: Kind
    key: str
    outcome: Outcome = "invoked"
    attempts: int = 0


@dataclass(slots=True)
class History:
    """Everything the clients of one run did, and the room log as each of them saw it live."""

    operations: list[Operation] = field(default_factory=list)
    seen: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    """Person -> room -> the numbers of the entries in the order they came."""

    def invoke(self, kind: Kind, key: str) -> Operation:
        operation = Operation(kind, key)
        self.operations.append(operation)
        return operation

    def keys(self, kind: Kind, *outcomes: Outcome) -> list[str]:
        return [o.key for o in self.operations if o.kind == kind and o.outcome in outcomes]

    @property
    def acknowledged(self) -> int:
        return sum(operation.outcome == "ok" for operation in self.operations)
