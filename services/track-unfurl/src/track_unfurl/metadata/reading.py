"""One source's answer, already cleaned and limited, and how several become one."""

import math
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Literal

import can_ada

Verdict = Literal["found", "not_found", "blocked", "busy", "unreadable"]

TEXT_LENGTH_MAX = 300
ARTISTS_MAX = 20
ARTWORK_MAX = 4
URL_LENGTH_MAX = 2_048
PIXELS_MAX = 20_000

_ISRC = re.compile(r"[A-Z]{2}[A-Z0-9]{3}[0-9]{7}")
_DATE = re.compile(r"[12][0-9]{3}(?:-[01][0-9](?:-[0-3][0-9])?)?")
_SPACES = re.compile(r"\s+")
_LOCAL_SUFFIXES = (".localhost", ".local", ".internal", ".svc")
# Direction marks and tag characters change what a reader sees without being seen. The zero-width
# joiner and non-joiner stay: emoji and Persian are written with them.
_INVISIBLE = re.compile(
    "[\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f]"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    url: str
    width_pixels: int | None = None
    height_pixels: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Fields from one source. None or empty means that source did not say."""

    source: str
    verdict: Verdict = "found"
    title: str | None = None
    artists: tuple[str, ...] = ()
    album: str | None = None
    artwork: tuple[Picture, ...] = ()
    duration_ms: int | None = None
    isrc: str | None = None
    release_date: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """The best known value of every field and the source it came from."""

    title: str | None = None
    artists: tuple[str, ...] = ()
    album: str | None = None
    artwork: tuple[Picture, ...] = ()
    duration_ms: int | None = None
    isrc: str | None = None
    release_date: str | None = None
    sources: tuple[tuple[str, str], ...] = ()


_FIELDS = tuple(field.name for field in fields(Merged) if field.name != "sources")


def merge(readings: Iterable[Reading]) -> Merged:
    """Field by field, the first reading that knows it wins: order is trust."""
    values: dict[str, object] = {}
    sources: list[tuple[str, str]] = []
    for reading in readings:
        for name in _FIELDS:
            value = getattr(reading, name)
            if value and name not in values:
                values[name] = value
                sources.append((name, reading.source))
    return Merged(**values, sources=tuple(sources))  # type: ignore[arg-type]


def clean_text(value: object) -> str | None:
    """A short, visible, normalised line, or None when nothing of it is left."""
    if not isinstance(value, str):
        return None
    shortened = value[: TEXT_LENGTH_MAX * 4]
    visible = _INVISIBLE.sub("", shortened)
    spaced = "".join(" " if _is_control(character) else character for character in visible)
    line = _SPACES.sub(" ", unicodedata.normalize("NFC", spaced)).strip()
    return line[:TEXT_LENGTH_MAX].strip() or None


def clean_names(values: Iterable[object]) -> tuple[str, ...]:
    """Cleaned names in order, each once."""
    names: dict[str, None] = {}
    for value in values:
        if name := clean_text(value):
            names[name] = None
        if len(names) == ARTISTS_MAX:
            break
    return tuple(names)


def clean_picture(url: object, width: object = None, height: object = None) -> tuple[Picture, ...]:
    """At most one picture: an http(s) address on a public name, else none.

    Clients load artwork themselves, so an address inside somebody's network is not passed on.
    """
    if not isinstance(url, str) or not 0 < len(url) <= URL_LENGTH_MAX:
        return ()
    try:
        parsed = can_ada.parse(f"https:{url}" if url.startswith("//") else url)
    except ValueError:
        return ()
    host = parsed.hostname.removesuffix(".")
    is_name = "." in host and not host.startswith("[") and not host.rpartition(".")[2].isdigit()
    if (
        parsed.protocol not in {"http:", "https:"}
        or not is_name
        or host.endswith(_LOCAL_SUFFIXES)
        or parsed.has_credentials()
    ):
        return ()
    return (
        Picture(
            url=parsed.href, width_pixels=clean_pixels(width), height_pixels=clean_pixels(height)
        ),
    )


def clean_pixels(value: object) -> int | None:
    number = whole_number(value)
    return number if number is not None and 0 < number <= PIXELS_MAX else None


def clean_isrc(value: object) -> str | None:
    if not isinstance(value, str) or len(value) > 20:
        return None
    code = value.replace("-", "").upper()
    return code if _ISRC.fullmatch(code) else None


def clean_date(value: object) -> str | None:
    """Year, month or day precision, whichever is given; the time of day is dropped."""
    found = _DATE.match(value) if isinstance(value, str) else None
    return found[0] if found else None


def whole_number(value: object) -> int | None:
    """Numbers arrive as 12, 12.0 and "12"; truth values and infinities are not numbers."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return int(value)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 16:
        return int(value)
    return None


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in {"Cc", "Cs", "Co", "Zl", "Zp"}
