"""Bytes to text: BOM, then header, then meta, then UTF-8 if valid, then windows-1252."""

import codecs
import re

SNIFFED_BYTES = 1_024
LARGE_BYTES = 65_536

_META = re.compile(rb"<meta[^>]{0,200}?charset\s{0,5}=\s{0,5}[\"']?([0-9A-Za-z_.:-]{1,40})", re.I)
_HEADER = re.compile(r"charset\s{0,5}=\s{0,5}[\"']?([0-9A-Za-z_.:-]{1,40})", re.I)
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# An allow list, because the codec registry also holds UTF-7 and codecs that are not charsets. The
# labels browsers treat as windows-1252 and cp932 are treated so here.
_CODECS = {
    **dict.fromkeys(("utf-8", "utf8", "unicode-1-1-utf-8"), "utf-8"),
    **dict.fromkeys(("iso-8859-1", "latin1", "us-ascii", "ascii", "windows-1252"), "cp1252"),
    **{f"windows-{page}": f"cp{page}" for page in (1250, 1251, 1253, 1254, 1255, 1256, 1257, 1258)},
    **{f"iso-8859-{part}": f"iso8859-{part}" for part in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)},
    **dict.fromkeys(("shift_jis", "shift-jis", "sjis", "x-sjis", "windows-31j"), "cp932"),
    **dict.fromkeys(("gb2312", "gbk", "gb18030"), "gb18030"),
    **{label: label for label in ("euc-jp", "iso-2022-jp", "big5", "euc-kr", "koi8-r", "koi8-u")},
}


def page_text(body: bytes, content_type: str | None) -> str:
    """Never raises; bytes that do not fit become replacement characters."""
    for mark, codec in _MARKS:
        if body.startswith(mark):
            return body[len(mark) :].decode(codec, "replace")
    named = _HEADER.search(content_type or "")
    sniffed = _META.search(body, 0, SNIFFED_BYTES)
    for label in (named[1] if named else "", sniffed[1].decode("ascii") if sniffed else ""):
        if declared := _CODECS.get(label.lower()):
            return body.decode(declared, "replace")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        # A large body may have been cut at a byte limit, inside one character: still UTF-8.
        cut_at_the_end = len(body) > LARGE_BYTES and len(body) - error.start < 4
        return body.decode("utf-8" if cut_at_the_end else "cp1252", "replace")
