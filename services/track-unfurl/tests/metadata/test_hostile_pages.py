"""Any 512 KiB page is read in a bounded time: the event loop waits for these functions."""

import time

import pytest
from track_unfurl.metadata.json_ld import read_json_ld
from track_unfurl.metadata.json_values import decode
from track_unfurl.metadata.page import read_page

SIZE = 512 * 1024
SECONDS_MAX = 0.5
"""The goal is 50 ms on a quiet machine; a quadratic reader takes many seconds."""

HOSTILE = {
    "nested divs": b"<div>" * (SIZE // 5),
    "nested fonts": b"<font>" * (SIZE // 6),
    "only openings": b"<" * SIZE,
    "many attributes": b"<meta " + b"a=1 " * (SIZE // 4) + b">",
    "open metas": b"<meta " * (SIZE // 6),
    "open quotes": b'<meta a="' * (SIZE // 9),
    "alternating quotes": b"<meta a='<meta b=\"" * (SIZE // 18),
    "open comments": b"<!--" * (SIZE // 4),
    "closed comments": b"<!---->" * (SIZE // 7),
    "open scripts": b"<script>" * (SIZE // 8),
    "open titles": b"<title>" * (SIZE // 7),
    "spaces in a tag": b"<meta" + b" " * SIZE,
    "slashes in a tag": b"<meta" + b" /" * (SIZE // 2),
    "ampersands": b"<meta property=og:title content='" + b"&amp" * (SIZE // 4) + b"'>",
    "charset spaces": b"<meta charset" + b" " * SIZE,
    "tralbum entities": b'<meta name=generator content=bandcamp><p data-tralbum="'
    + b"&quot;" * (SIZE // 6),
    "deep json-ld": b'<script type="application/ld+json">' + b"[" * (SIZE - 100) + b"</script>",
    "wide json-ld": b'<script type="application/ld+json">['
    + b"{}," * (SIZE // 3)
    + b"{}]</script>",
    "nulls": b"\x00" * SIZE,
    "invalid utf-8": b"\xff" * SIZE,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_page_is_read_within_the_bound(name: str) -> None:
    started = time.process_time()
    read_page(HOSTILE[name].decode("latin-1"), "text/html", "generic")
    assert time.process_time() - started < SECONDS_MAX


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"a":' * 100_000, "NaN", "[1e999]", "9" * 5_000, "{", "", "\ud800"],
)
def test_hostile_json_is_no_json_and_no_exception(text: str) -> None:
    decode(text)
    read_json_ld([text])
