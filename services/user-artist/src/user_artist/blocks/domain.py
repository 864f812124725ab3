"""Rules of blocks. Pure."""

BLOCKS_MAX = 1_000
"""Of one person."""


class CannotBlockSelf(Exception):
    def __str__(self) -> str:
        return "You cannot block yourself."


class TooManyBlocks(Exception):
    def __str__(self) -> str:
        return f"You can block at most {BLOCKS_MAX} people."
