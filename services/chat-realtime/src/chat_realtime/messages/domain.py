"""Rules of messages and reactions. Pure."""

import hashlib
import unicodedata
from uuid import UUID

import msgspec

from chat_realtime.rooms.domain import InvalidText, check_encodable

TEXT_LENGTH_MAX = 4_000
CID_LENGTH_MAX = 128
EMOJI_LENGTH_MAX = 16
EMOJI_KINDS_MAX = 50
"""Different reactions on one message."""
REVISIONS_MAX = 50
"""Earlier words kept of one message; the oldest go first."""


class MessageNotFound(Exception):
    """No such message in this room, or it was deleted."""

    def __str__(self) -> str:
        return "There is no such message in this room."


class NotAuthor(Exception):
    def __str__(self) -> str:
        return "Only the author may do this."


class CidConflict(Exception):
    """The same client id with another message: a client's mistake that must not pass silently."""

    def __str__(self) -> str:
        return "This cid was used for a different message."


class Busy(Exception):
    """More messages wait to be kept than should; nothing was done with this one."""

    retry_after_seconds = 1

    def __str__(self) -> str:
        return "Too many messages are on their way right now. Send it again in a moment."


class Stopping(Exception):
    """The process ends; nothing was done with this message."""

    retry_after_seconds = 1

    def __str__(self) -> str:
        return "This server is about to stop. Send it again in a moment."


class TooManyReactions(Exception):
    def __str__(self) -> str:
        return f"A message carries at most {EMOJI_KINDS_MAX} different reactions."


def check_text(text: str) -> None:
    """Raises InvalidText. The text itself is kept exactly as it was typed."""
    if not 1 <= len(text) <= TEXT_LENGTH_MAX:
        raise InvalidText(f"The text must have 1 to {TEXT_LENGTH_MAX} characters.")
    if not text.strip():
        raise InvalidText("The text must not be blank.")
    check_encodable(text, what="The text")


def check_cid(cid: str) -> None:
    if not 1 <= len(cid) <= CID_LENGTH_MAX or not cid.isascii() or not cid.isprintable():
        raise InvalidText(f"The cid must have 1 to {CID_LENGTH_MAX} printable ASCII characters.")


def check_emoji(emoji: str) -> None:
    """Any symbol a keyboard may send; not words, not spaces, not control characters."""
    if not 1 <= len(emoji) <= EMOJI_LENGTH_MAX:
        raise InvalidText(f"An emoji has 1 to {EMOJI_LENGTH_MAX} characters.")
    check_encodable(emoji, what="The emoji")
    # Joiners and selectors are format characters (Cf, Mn) inside one emoji; all else that is
    # invisible or a letter is refused.
    refused = {"Cc", "Cs", "Co", "Cn", "Zs", "Zl", "Zp", "Lu", "Ll", "Lt", "Lm", "Lo"}
    if any(unicodedata.category(character) in refused for character in emoji):
        raise InvalidText("This is no emoji.")


_encode = msgspec.json.Encoder().encode


def body_digest(room_id: UUID, parent_id: UUID | None, text: str) -> str:
    """What makes two sends the same send: SHA-256 in hexadecimal."""
    return hashlib.sha256(_encode([room_id, parent_id, text])).hexdigest()
