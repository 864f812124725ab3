"""Mentions in what people type, and what a person is told of unread words. Pure."""

import re
from uuid import UUID

import msgspec

MENTIONS_MAX = 20
"""People named by one message; names after these are words like others."""
UNREAD_COUNTED_MAX = 100
"""Nobody needs to know more exactly, and it bounds what counting costs."""

# Handles are user-artist's: 3 to 30 of a-z, 0-9, and single - or _ between them. Not inside an
# e-mail address, a path or another word.
_MENTION = re.compile(
    r"(?<![\w@/.+-])@([a-z0-9](?:[a-z0-9]|[-_](?=[a-z0-9])){2,29})(?!\w)", re.IGNORECASE | re.ASCII
)


class AttentionChanged(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="attention"
):
    """The notice that somebody's unread words of a room are others now: read on another device, or
    somebody named them. Who hears it counts anew.
    """

    user_id: UUID
    room_id: UUID


def find_mentions(text: str) -> list[str]:
    """The first few different handles, in lower case, whether or not anybody has them."""
    if "@" not in text:
        return []
    found = dict.fromkeys(match.group(1).lower() for match in _MENTION.finditer(text))
    return list(found)[:MENTIONS_MAX]
