"""What clients did and what they were told: the half of the truth that no service can rewrite."""

from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["sign-up", "message", "edit", "reaction", "kick"]
Outcome = Literal["invoked", "ok", "fail", "info"]
"""`info`: nobody can say. It may have happened or not, and either way is right."""


@dataclass(slots=True)
class Operation:
    """One intention of one client, however often it had to be sent.

    `key` names it for ever, on both sides: an e-mail address, a cid, message and text, message and
    emoji, room and person.
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
    """Device -> room -> the numbers of the entries in the order they came."""
    removed: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    """Key of a kick -> device of who was kicked -> the numbers it heard of that room."""
    haunted: dict[tuple[str, str], float] = field(default_factory=dict)
    """Who has gone, and who was shown them since -> how many seconds after they went, at last."""

    def invoke(self, kind: Kind, key: str) -> Operation:
        operation = Operation(kind, key)
        self.operations.append(operation)
        return operation

    def keys(self, kind: Kind, *outcomes: Outcome) -> list[str]:
        return [o.key for o in self.operations if o.kind == kind and o.outcome in outcomes]

    def show(self, gone: str, viewer: str, *, after_seconds: float) -> None:
        self.haunted[gone, viewer] = after_seconds

    @property
    def acknowledged(self) -> int:
        return sum(operation.outcome == "ok" for operation in self.operations)
