"""Rules of pins. Pure."""

PINS_MAX = 50
"""In one room."""


class TooManyPins(Exception):
    def __str__(self) -> str:
        return f"A room keeps at most {PINS_MAX} pinned messages."
