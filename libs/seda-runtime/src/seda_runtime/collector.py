"""CPython's collector of cycles, set for a server."""

import gc

YOUNG_OBJECTS_MAX = 20_000
"""New objects that may pile up before the collector looks at them; CPython's own is 700."""
YOUNG_ROUNDS, MIDDLE_ROUNDS = 20, 10


def collect_rarely() -> None:
    """To be called once everything that stays is there: it is never looked at again.

    Hardly anything here is part of a cycle, and a batch of 256 messages made the collector look
    for them several times: a tenth of the processor time of sending (`infra/bench/sends.py`).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS_MAX, YOUNG_ROUNDS, MIDDLE_ROUNDS)
