"""What a person may type as a name or a biography, and how two names compare.

Pure rules. Text is kept as typed in any script; only what cannot be seen, or turns the words
around it, is refused.
"""

import re
import unicodedata

DISPLAY_NAME_CHARACTERS_MAX = 50
BIO_CHARACTERS_MAX = 500

_JOINERS = frozenset("\u200c\u200d")
"""Persian needs the first, family emoji the second; neither reorders text."""

_BLANK_LETTERS = frozenset("\u115f\u1160\u3164\uffa0\u2800")
"""Letters by category, nothing on the screen: the usual way to an empty name."""

_WHITESPACE = re.compile(r"\s+")


class NameRefused(Exception):
    """A name that is empty to the eye or holds characters that hide or reorder text."""


class BioRefused(Exception):
    """A biography with characters that hide or reorder text."""


def single_line(text: str) -> str:
    """The name as it is kept: NFC, one space between words. Raises NameRefused."""
    name = _WHITESPACE.sub(" ", unicodedata.normalize("NFC", text)).strip()
    if any(_is_deceptive(character) for character in name):
        raise NameRefused
    if not any(_is_visible(character) for character in name):
        raise NameRefused
    if len(name) > DISPLAY_NAME_CHARACTERS_MAX:
        raise NameRefused
    return name


def paragraphs(text: str) -> str:
    """The biography as it is kept: line breaks stay. Raises BioRefused."""
    bio = unicodedata.normalize("NFC", text.replace("\r\n", "\n")).strip()
    if any(_is_deceptive(character) for character in bio if character != "\n"):
        raise BioRefused
    if len(bio) > BIO_CHARACTERS_MAX:
        raise BioRefused
    return bio


def salvaged_line(text: str) -> str | None:
    """What is left of a name nobody can be asked to correct; None when nothing is."""
    kept = "".join(c for c in _WHITESPACE.sub(" ", text) if not _is_deceptive(c))
    try:
        return single_line(unicodedata.normalize("NFC", kept)[:DISPLAY_NAME_CHARACTERS_MAX])
    except NameRefused:
        return None


def search_key(name: str) -> str:
    """The form in which names are searched and ordered, the same whatever the database's locale."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def is_plain(text: str) -> bool:
    """True when no character hides, reorders, or is left unassigned."""
    return not any(_is_deceptive(c) for c in text) and not _JOINERS.intersection(text)


def _is_deceptive(character: str) -> bool:
    if character in _JOINERS:
        return False
    return character in _BLANK_LETTERS or unicodedata.category(character) in {
        "Cc",
        "Cf",
        "Cs",
        "Co",
        "Cn",
        "Zl",
        "Zp",
    }


def _is_visible(character: str) -> bool:
    return unicodedata.category(character)[0] in "LNPS"
