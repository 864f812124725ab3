"""Handles: how one is formed, which are refused, and which count as the same to the eye.

Handles are ASCII by rule, so a Cyrillic or Greek look-alike cannot be written. What is left of
the confusion (zero and o; one, i and l; `rn` and `m`) is folded into a skeleton, and skeletons are
unique.
"""

import base64
import hashlib
import re
import unicodedata
from collections.abc import Iterator
from uuid import UUID

from user_artist.names import is_plain

HANDLE_CHARACTERS_MIN = 3
HANDLE_CHARACTERS_MAX = 30
DEFAULT_DISPLAY_NAME = "Listener"

_SLUG_CHARACTERS_MAX = 24
"""Leaves room for a suffix below HANDLE_CHARACTERS_MAX."""

_HANDLE = re.compile(r"[a-z0-9](?:[a-z0-9]|[-_](?=[a-z0-9])){2,29}")
_NOT_SLUG = re.compile(r"[^a-z0-9]+")
_LOOKALIKES = str.maketrans({"0": "o", "1": "l", "i": "l", "5": "s", "_": None, "-": None})

_RESERVED = (
    "about",
    "account",
    "admin",
    "administrator",
    "anonymous",
    "api",
    "artist",
    "artists",
    "bot",
    "channel",
    "crawler",
    "deleted",
    "everyone",
    "help",
    "here",
    "login",
    "logout",
    "me",
    "mod",
    "moderator",
    "moderators",
    "null",
    "official",
    "owner",
    "root",
    "security",
    "seda",
    "seda-fm",
    "sedabot",
    "settings",
    "signup",
    "staff",
    "support",
    "system",
    "team",
    "undefined",
    "user",
    "users",
    "verification",
    "verified",
    "webmaster",
)


class HandleRefused(Exception):
    """Not 3 to 30 of a-z, 0-9 and single inner dashes, or a name the platform keeps for itself."""


class HandleTaken(Exception):
    """Someone has this handle, or one that looks like it."""


class UserNotFound(Exception):
    """No such profile, or none yet."""


class ProfilePending(Exception):
    """The account is there and its profile is on the way; asking again soon will do."""

    retry_after_seconds = 1


def skeleton(handle: str) -> str:
    """Two handles with one skeleton look alike; only one of them may exist."""
    return handle.translate(_LOOKALIKES).replace("rn", "m").replace("vv", "w")


_RESERVED_SKELETONS = frozenset(skeleton(word) for word in _RESERVED)


def chosen_handle(text: str) -> str:
    """A handle a person typed, folded to lower case. Raises HandleRefused."""
    handle = text.strip().lower()
    if not _HANDLE.fullmatch(handle) or skeleton(handle) in _RESERVED_SKELETONS:
        raise HandleRefused
    return handle


def handle_candidates(display_name: str | None, user_id: UUID) -> Iterator[str]:
    """Handles to try for a new profile, best first, the same at every redelivery.

    The suffix comes from the id and not from a generator: a second delivery of the registration
    walks the same list.
    """
    digest = base64.b32encode(hashlib.sha256(user_id.bytes).digest()).decode().lower()
    slug = _slug(display_name or "")
    if slug is not None:
        yield slug
        yield f"{slug}-{digest[:4]}"
    yield f"listener-{digest[:5]}"
    yield f"listener-{digest[:16]}"


def _slug(display_name: str) -> str | None:
    """The name as a handle, accents dropped; None when letters would be lost or it is refused.

    A name in another script is not transliterated: half a name is worse than a neutral handle.
    """
    if not is_plain(display_name):
        return None
    plain = "".join(
        c
        for c in unicodedata.normalize("NFD", display_name).lower()
        if not unicodedata.combining(c)
    )
    if any(c.isalnum() and not c.isascii() for c in plain):
        return None
    try:
        return chosen_handle(_NOT_SLUG.sub("-", plain)[:_SLUG_CHARACTERS_MAX].strip("-"))
    except HandleRefused:
        return None
