"""UUIDv7 (RFC 9562): ids that sort by time, made in Python so that PostgreSQL 15 will do."""

import os
import threading
import time
from datetime import datetime
from uuid import UUID

_lock = threading.Lock()
_last_milliseconds = 0
_counter = 0
_COUNTER_BITS = 12


def uuid7() -> UUID:
    """A new id, greater than every id this process made before, even within one millisecond.

    The 12 bits after the version count up inside a millisecond (RFC 9562 6.2, method 1); when they
    run out the clock part is moved on by one.
    """
    global _last_milliseconds, _counter
    with _lock:
        milliseconds = time.time_ns() // 1_000_000
        if milliseconds > _last_milliseconds:
            _last_milliseconds = milliseconds
            _counter = int.from_bytes(os.urandom(1), "big")
        else:
            _counter += 1
            if _counter >> _COUNTER_BITS:
                _last_milliseconds += 1
                _counter = 0
        high = (_last_milliseconds << 16) | 0x7000 | _counter
    low = (int.from_bytes(os.urandom(8), "big") & (2**62 - 1)) | 2**63
    return UUID(int=(high << 64) | low)


def lowest_id_at(moment: datetime) -> UUID:
    """Below every id made at that moment or later, above every earlier one."""
    return UUID(int=int(moment.timestamp() * 1_000) << 80)
