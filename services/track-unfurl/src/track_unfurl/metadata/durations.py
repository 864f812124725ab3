"""Lengths as catalogues really write them."""

import re

from track_unfurl.metadata.reading import whole_number

DURATION_MS_MAX = 7 * 24 * 3_600_000
"""A week: longer than any mix, shorter than any mistake in units."""

# `T` is optional on purpose: TIDAL writes P2M37S and means two minutes, not two months. A length of
# music is never given in months, so M is always minutes here.
_ISO = re.compile(
    r"P(?:([0-9]{1,3})D)?T?(?:([0-9]{1,4})H)?(?:([0-9]{1,6})M)?(?:([0-9]{1,8})(?:\.([0-9]{1,6}))?S)?",
    re.I,
)
_CLOCK = re.compile(r"(?:([0-9]{1,3}):)?([0-9]{1,3}):([0-9]{2})")


def duration_ms(value: object) -> int | None:
    """From `PT3M4S`, `P00H03M29S`, `P2M37S`, `3:04`, `184`, 184 or 184.2; None for nonsense."""
    if isinstance(value, str):
        text = value.strip()
        if found := _ISO.fullmatch(text):
            return _bounded(_iso_ms(found))
        if found := _CLOCK.fullmatch(text):
            hours, minutes, seconds = (int(part or 0) for part in found.groups())
            return _bounded(((hours * 60 + minutes) * 60 + seconds) * 1000)
    if isinstance(value, float) and 0 < value < DURATION_MS_MAX:
        return _bounded(round(value * 1000))
    seconds_given = whole_number(value)
    return _bounded(seconds_given * 1000) if seconds_given is not None else None


def from_milliseconds(value: object) -> int | None:
    number = whole_number(value)
    return _bounded(number) if number is not None else None


def _iso_ms(found: re.Match[str]) -> int:
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups()[:4])
    fraction = int((found[5] or "0").ljust(3, "0")[:3])
    return (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000 + fraction


def _bounded(milliseconds: int) -> int | None:
    return milliseconds if 0 < milliseconds <= DURATION_MS_MAX else None
