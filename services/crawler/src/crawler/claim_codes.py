"""Finds claim codes on a page and says where each one stands. Pure, and linear in the page.

The place is the proof: only visible text, a meta tag or a link can be something the owner of a
page meant to show, and visible text in a comment section is somebody else's. The scanner is
written by hand because every parser we measured is quadratic on some hostile page (nested
elements, unterminated comments); this one looks at each character a bounded number of times and
keeps no tree.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from seda_contracts.events.crawl import CLAIM_CODE
from seda_contracts.events.crawl import MarkPlace as Place

MARKS_MAX = 50
"""A page with more different codes than this is not somebody's own page; the rest are dropped."""

_CODE = re.compile(rf"(?<![0-9A-Za-z]){CLAIM_CODE}(?![0-9A-Za-z])", re.I)
_WRITTEN_HYPHEN = re.compile(r"&#(?:0{0,5}45|[xX]0{0,5}2[dD]);?")
_NAME = re.compile(r"[a-zA-Z][^\s/>]*+")
_GAP = re.compile(r"[\s/]*+")
_ATTRIBUTE_NAME = re.compile(r"[^\s/>][^\s/>=]*+")
_EQUALS = re.compile(r"\s*+=\s*+")
_UNQUOTED_VALUE = re.compile(r"[^\s>]*+")
_HIDING_STYLE = re.compile(r"display\s{0,8}:\s{0,8}none|visibility\s{0,8}:\s{0,8}hidden", re.I)

_MARKER_LENGTH_MAX = 500
"""Longer class lists are cut: what names a section stands at their beginning."""
_VISITORS = re.compile(
    r"(?:^|[\s_-])(?:comments?|commentlist|replies|reply|respond|guestbook|disqus|reviews?|shoutbox"
    r"|webmentions?)(?:$|[\s_-])|schema\.org/(?:Comment|Review|UserComments)\b",
    re.I,
)
"""How pages name the places where visitors write (class, id, itemtype)."""

_UNSHOWN_RAW_TEXT = frozenset({"script", "style", "xmp", "iframe", "noembed", "noframes"})
_SHOWN_RAW_TEXT = frozenset({"title", "textarea"})
_RAW_TEXT_END = {
    name: re.compile(rf"</{name}(?=[\s/>])", re.I) for name in _UNSHOWN_RAW_TEXT | _SHOWN_RAW_TEXT
}
_UNSHOWN_ELEMENTS = frozenset({"template", "noscript", "datalist"})
_VOID_ELEMENTS = frozenset(
    {
        "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param",
        "source", "track", "wbr",
    }
)  # fmt: skip
_LINK_ELEMENTS = frozenset({"a", "link", "area"})


@dataclass(frozen=True, slots=True)
class Mark:
    """One claim code in its canonical spelling, at one kind of place."""

    code: str
    place: Place


def find_claim_codes(text: str, *, is_html: bool = True) -> tuple[Mark, ...]:
    """Every code with every kind of place it stands in, in order of first appearance."""
    if "seda" not in text.lower():
        return ()
    plain: list[tuple[Place, str]] = [("visible_text", text)]
    segments = _segments(text) if is_html else iter(plain)
    marks: dict[Mark, None] = {}
    for place, segment in segments:
        for found in _CODE.finditer(_WRITTEN_HYPHEN.sub("-", segment)):
            marks[Mark("seda" + found[0][4:].upper(), place)] = None
            if len(marks) >= MARKS_MAX:
                return tuple(marks)
    return tuple(marks)


def _segments(text: str) -> Iterator[tuple[Place, str]]:
    """The page cut into pieces that have one place each. Nothing is looked at twice."""
    areas = _Areas()
    position = 0
    while position < len(text):
        opened = text.find("<", position)
        if opened < 0:
            yield areas.place, text[position:]
            return
        if opened > position:
            yield areas.place, text[position:opened]
        following = text[opened + 1 : opened + 2]
        if _NAME.match(text, opened + 1):
            tag = _read_tag(text, opened + 1)
            for name, value in tag.attributes:
                if "seda" in value.lower():
                    place = _place_of_attribute(tag.name, name)
                    yield areas.place if areas.foreign else place, value
            areas.open(tag)
            position = tag.end
            if tag.name in _RAW_TEXT_END:
                position, content = _raw_text(text, tag)
                yield "hidden" if tag.name in _UNSHOWN_RAW_TEXT else areas.place, content
        elif following == "/" and _NAME.match(text, opened + 2):
            tag = _read_tag(text, opened + 2)
            areas.close(tag.name)
            position = tag.end
        elif following in {"!", "?", "/"}:
            position = _comment_end(text, opened)
            yield "hidden", text[opened:position]
        else:
            position = opened + 1  # a less-than sign that opens nothing


@dataclass(frozen=True, slots=True)
class _Tag:
    name: str
    attributes: tuple[tuple[str, str], ...]
    end: int


def _read_tag(text: str, start: int) -> _Tag:
    """A tag whose name begins at `start`. One that never ends takes the rest of the page with it,
    as it does in a browser."""
    found = _NAME.match(text, start)
    assert found is not None
    name, position = found[0].lower(), found.end()
    attributes: list[tuple[str, str]] = []
    while True:
        position = _skip(_GAP, text, position)
        if text[position : position + 1] in {"", ">"}:
            return _Tag(name, tuple(attributes), min(position + 1, len(text)))
        attribute_end = _skip(_ATTRIBUTE_NAME, text, position)
        attribute = text[position:attribute_end].lower()
        value, position = _read_value(text, attribute_end)
        attributes.append((attribute, value))


def _read_value(text: str, position: int) -> tuple[str, int]:
    """The value behind an attribute name, and where it ends. A quote that never closes holds the
    rest of the page."""
    equals = _EQUALS.match(text, position)
    if equals is None:
        return "", position
    start = equals.end()
    quote = text[start : start + 1]
    if quote not in {'"', "'"}:
        end = _skip(_UNQUOTED_VALUE, text, start)
        return text[start:end], end
    end = text.find(quote, start + 1)
    if end < 0:
        return text[start + 1 :], len(text)
    return text[start + 1 : end], end + 1


def _skip(pattern: re.Pattern[str], text: str, position: int) -> int:
    found = pattern.match(text, position)
    return found.end() if found else position


def _raw_text(text: str, tag: _Tag) -> tuple[int, str]:
    closed = _RAW_TEXT_END[tag.name].search(text, tag.end)
    end = closed.start() if closed else len(text)
    return end, text[tag.end : end]


def _comment_end(text: str, opened: int) -> int:
    terminator = "-->" if text.startswith("<!--", opened) else ">"
    # From the second character on, so that `<!-->` is a whole comment.
    end = text.find(terminator, opened + 2)
    return len(text) if end < 0 else end + len(terminator)


def _place_of_attribute(element: str, attribute: str) -> Place:
    if element == "meta" and attribute == "content":
        return "meta_tag"
    if element in _LINK_ELEMENTS and attribute == "href":
        return "link"
    return "hidden"


class _Areas:
    """Whether we are inside something that is not shown, or that visitors wrote."""

    def __init__(self) -> None:
        self._unshown = _Inside(_hides)
        self._visitors = _Inside(_is_visitors)

    @property
    def foreign(self) -> bool:
        """True where nothing is the owner's word, whatever tag it stands in."""
        return self._unshown.active or self._visitors.active

    @property
    def place(self) -> Place:
        if self._unshown.active:
            return "hidden"
        return "visitor_text" if self._visitors.active else "visible_text"

    def open(self, tag: _Tag) -> None:
        if tag.name not in _VOID_ELEMENTS and tag.name not in _RAW_TEXT_END:
            self._unshown.open(tag)
            self._visitors.open(tag)

    def close(self, name: str) -> None:
        self._unshown.close(name)
        self._visitors.close(name)


class _Inside:
    """Whether we are inside an element of one kind.

    Counts elements of the same name instead of keeping a stack; one that is never closed takes the
    rest of the page, which errs on the side of not believing.
    """

    def __init__(self, is_kind: Callable[[_Tag], bool]) -> None:
        self._is_kind = is_kind
        self._name = ""
        self._depth = 0

    @property
    def active(self) -> bool:
        return self._depth > 0

    def open(self, tag: _Tag) -> None:
        if self.active:
            self._depth += tag.name == self._name
        elif self._is_kind(tag):
            self._name, self._depth = tag.name, 1

    def close(self, name: str) -> None:
        if self.active and name == self._name:
            self._depth -= 1


def _hides(tag: _Tag) -> bool:
    return tag.name in _UNSHOWN_ELEMENTS or any(
        name == "hidden" or (name == "style" and _HIDING_STYLE.search(value))
        for name, value in tag.attributes
    )


def _is_visitors(tag: _Tag) -> bool:
    if tag.name in {"html", "head", "body"}:
        return False  # themes mark whole pages so ("comments-open"); the section itself follows
    return any(
        name in {"class", "id", "itemtype"} and _VISITORS.search(value[:_MARKER_LENGTH_MAX])
        for name, value in tag.attributes
    )
