"""Which characters a body means: BOM, then header, then meta, then UTF-8 if valid, then 1252."""

import codecs
import re

import webencodings

META_BYTES = 1_024
_META_CHARSET = re.compile(
    rb"""<meta[^>]{0,256}?charset\s{0,8}=\s{0,8}["']?([\w:.-]{1,40})""", re.I
)
_HEADER_CHARSET = re.compile(r"""charset\s{0,8}=\s{0,8}["']?([\w:.-]{1,40})""", re.I)
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


_Utf8Decoder = codecs.getincrementaldecoder("utf-8")


def decode(body: bytes, content_type: str, *, truncated: bool = False) -> str:
    """Never raises: bytes that fit no character become U+FFFD.

    A truncated body may end inside a character; the rest of one is no proof against UTF-8.
    """
    for mark, name in _BYTE_ORDER_MARKS:
        if body.startswith(mark):
            return body[len(mark) :].decode(name, "replace")
    codec = _from_header(content_type) or _from_meta(body)
    if codec is not None:
        return codec.decode(body, "replace")[0]
    try:
        return _Utf8Decoder().decode(body, final=not truncated)
    except UnicodeDecodeError:
        return body.decode("windows-1252", "replace")


def _from_header(content_type: str) -> codecs.CodecInfo | None:
    found = _HEADER_CHARSET.search(content_type[:512])
    return _codec(found[1]) if found else None


def _from_meta(body: bytes) -> codecs.CodecInfo | None:
    found = _META_CHARSET.search(body[:META_BYTES])
    codec = _codec(found[1].decode("ascii", "replace")) if found else None
    # A meta tag that could be read at all was not written in UTF-16 (WHATWG, prescan).
    if codec is not None and codec.name.startswith("utf-16"):
        return codecs.lookup("utf-8")
    return codec


def _codec(label: str) -> codecs.CodecInfo | None:
    """Only labels of the Encoding Standard: Python's own list holds codecs that are not charsets.

    The standard's `replacement` encoding (labels that are only used in attacks) counts as unknown.
    """
    encoding = webencodings.lookup(label)
    if encoding is None or encoding.name == "replacement":
        return None
    return codecs.lookup(encoding.codec_info.name)
