"""What a refusal and a close of the socket mean, and what a client does about each.

Clients switch on these words; they are only added to. The ranges decide for a close code that a
client does not know: 4000 to 4499 means come back, 4500 to 4999 means do not.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec

from seda_contracts.realtime import Retry

Reaction = Literal["resume", "resume_with_new_ticket", "stop"]


class Close(msgspec.Struct, frozen=True):
    """`delay_ms` is how long a client waits at least; its own back-off comes on top."""

    meaning: str
    reaction: Reaction
    delay_ms: int = 0


ERRORS: Mapping[str, Retry] = {
    "bad_request": "never",
    "unknown_op": "never",
    "too_large": "never",
    "unauthenticated": "after_refresh",
    "token_expired": "after_refresh",
    "forbidden": "never",
    "not_member": "never",
    "banned": "never",
    "muted": "later",
    "slow_mode": "later",
    "rate_limited": "later",
    "room_locked": "never",
    "not_found": "never",
    "conflict": "never",
    "cid_conflict": "never",
    "cursor_too_old": "never",
    "epoch_changed": "never",
    "unavailable": "later",
    "internal": "later",
}
"""Closed: HTTP may be finer, the socket says the nearest of these. `cursor_too_old` and
`epoch_changed` are kept: the server says `snapshot` instead, which asks the same of a client.
"""

CLOSES: Mapping[int, Close] = {
    1000: Close("the client ended it", "stop"),
    1001: Close("the client, or its page, went away", "resume"),
    1002: Close("a frame broke the WebSocket protocol", "stop"),
    1003: Close("a binary message", "stop"),
    1006: Close("the connection broke without a word", "resume"),
    1007: Close("a text was not UTF-8", "stop"),
    1009: Close("a message was too large", "stop"),
    1011: Close("a fault of the server", "resume"),
    1012: Close("the process restarts", "resume"),
    1013: Close("read too slowly for too long, or the server cannot admit anybody now", "resume"),
    4000: Close("a fault nobody foresaw", "resume"),
    4001: Close("no hello in time", "resume"),
    4003: Close("ticket or token expired, used or not valid", "resume_with_new_ticket"),
    4008: Close("too slow even after `lagged`", "resume"),
    4012: Close("drained, at the moment `drain` named", "resume"),
    4029: Close("far above the rate", "resume", delay_ms=30_000),
    4408: Close("two heartbeats missed", "resume"),
    4500: Close("no command of this protocol", "stop"),
    4501: Close("the session was revoked", "stop"),
    4502: Close("no version of the protocol that is spoken here", "stop"),
    4503: Close("more than the allowed sockets: this was the oldest", "stop"),
    4504: Close("the account is suspended", "stop"),
}
"""4000, 4008 and 4502 are kept: 1011 says the first, 1013 the second, and another version is
refused before the upgrade.
"""


def reaction_to(code: int | None) -> Close:
    """What to do about any code, also one that is not in the table. None is no close at all."""
    known = CLOSES.get(1006 if code is None else code)
    if known is not None:
        return known
    if code is not None and 4500 <= code <= 4999:
        return Close("unknown, and final by its range", "stop")
    return Close("unknown", "resume")
