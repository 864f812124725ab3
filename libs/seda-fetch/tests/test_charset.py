"""Which characters a body means, and what never becomes a codec."""

import pytest
from seda_fetch.charset import decode


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        pytest.param(b"\xef\xbb\xbf\xc3\xa9", "text/html; charset=latin-1", "é", id="BOM wins"),
        pytest.param("é".encode("utf-16"), "text/html", "é", id="UTF-16 BOM"),
        pytest.param(b"\xe9", "text/html; charset=ISO-8859-1", "é", id="header"),
        pytest.param(b"\x93", "text/html; charset=latin1", "“", id="latin1 means 1252"),
        pytest.param(b"<meta charset='windows-1251'>\xe9", "text/html", None, id="meta"),
        pytest.param("<meta charset=utf-16>é".encode(), "text/html", None, id="meta utf-16"),
        pytest.param("音".encode("shift_jis"), "text/html;charset=Shift_JIS", "音", id="Shift_JIS"),
        pytest.param("音".encode("iso2022_jp"), 'a;charset="iso-2022-jp"', "音", id="ISO-2022-JP"),
        pytest.param("é".encode(), "text/html", "é", id="valid UTF-8"),
        pytest.param(b"caf\xe9", "text/html", "café", id="fallback 1252"),
        pytest.param(
            b"+ADw-script+AD4-", "text/html; charset=utf-7", "+ADw-script+AD4-", id="UTF-7"
        ),
        pytest.param(b"uryyb", "text/html; charset=rot13", "uryyb", id="not a charset"),
        pytest.param(b"a\\u0041", "a; charset=unicode_escape", "a\\u0041", id="escape codec"),
        pytest.param(b"x", "text/html; charset=iso-2022-kr", "x", id="replacement"),
        pytest.param(b"\xff\xc3\xa9", "text/html; charset=utf-8", "\ufffdé", id="lying header"),
    ],
)
def test_a_body_is_decoded(body: bytes, content_type: str, text: str | None) -> None:
    decoded = decode(body, content_type)
    if text is None:
        assert decoded.endswith(("й", "é"))
    else:
        assert decoded == text


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_a_page_cut_inside_a_character_is_still_utf_8(cut: int) -> None:
    body = "Motörhead 🎧".encode()[:-cut]
    assert decode(body, "text/html", truncated=True) == "Motörhead "


def test_a_whole_page_that_ends_inside_a_character_is_not_utf_8() -> None:
    assert decode("Motörhead é".encode()[:-1], "text/html").startswith("MotÃ")
    assert decode(b"caf\xe9 noir", "text/html", truncated=True) == "café noir"
