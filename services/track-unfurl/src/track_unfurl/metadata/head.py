"""A linear scanner for the few tags that describe a page.

Tree builders are quadratic on hostile markup (seconds for 512 KiB of nested tags). This reads each
byte about once, understands quotes, comments and scripts, and caps everything it keeps.
"""

import html
import re
from dataclasses import dataclass, field

TAGS_MAX = 600
ATTRIBUTES_MAX = 24
VALUE_LENGTH_MAX = 16_384
SCRIPTS_MAX = 10

_OPENING = re.compile(r"<(?:!--|(meta|title|script|style|link|body|/head)(?=[\s>/]))", re.I)
_ATTRIBUTE = re.compile(r"[\s/]*([^\s\"'<>/=]{1,64})\s*(=?)\s*")
_BARE_VALUE = re.compile(r"[^\s>\"'<]{0,2048}")
_CLOSING = {
    "script": re.compile(r"</script", re.I),
    "style": re.compile(r"</style", re.I),
    "title": re.compile(r"</title", re.I),
}


@dataclass(slots=True)
class Head:
    """`values` maps og:, music:, twitter: and itemprop names to their first content."""

    values: dict[str, str] = field(default_factory=dict)
    title: str | None = None
    json_ld: list[str] = field(default_factory=list)
    oembed_url: str | None = None

    def first(self, *names: str) -> str | None:
        return next((self.values[name] for name in names if self.values.get(name)), None)


def scan(text: str) -> Head:
    """Stops early at an unterminated comment, script or style: nothing after it is markup."""
    head, position, in_body = Head(), 0, False
    for _ in range(TAGS_MAX):
        opening = _OPENING.search(text, position)
        if opening is None:
            break
        position = opening.end()
        name = (opening[1] or "!--").lower()
        if name == "!--":
            position = text.find("-->", position)
        elif name in {"body", "/head"}:
            in_body = True
        elif name == "title" and (in_body or head.title is not None):
            continue
        else:
            attributes, position = read_attributes(text, position)
            position = _take(head, name, attributes, text, position, in_body=in_body)
        if position < 0:
            break
    return head


def read_attributes(text: str, position: int) -> tuple[dict[str, str], int]:
    """Names and raw values from inside a tag, and where reading stopped."""
    found: dict[str, str] = {}
    for _ in range(ATTRIBUTES_MAX):
        name = _ATTRIBUTE.match(text, position)
        if name is None:
            break
        position, value = name.end(), ""
        if name[2]:
            quote = text[position : position + 1]
            if quote in {'"', "'"}:
                end = text.find(quote, position + 1, position + VALUE_LENGTH_MAX)
                if end < 0:
                    return found, position + 1
                value, position = text[position + 1 : end], end + 1
            elif bare := _BARE_VALUE.match(text, position):
                value, position = bare[0], bare.end()
        found.setdefault(name[1].lower(), value)
    return found, position


def _take(
    head: Head,
    name: str,
    attributes: dict[str, str],
    text: str,
    position: int,
    *,
    in_body: bool,
) -> int:
    """Keeps what the tag says; the new position, or -1 when the rest is not markup."""
    if name == "meta":
        _take_meta(head, attributes, in_body=in_body)
        return position
    if name == "link":
        _take_link(head, attributes)
        return position
    start = text.find(">", position) + 1
    closing = _CLOSING[name].search(text, position)
    if closing is None:
        return -1
    content = text[start : closing.start()] if 0 < start <= closing.start() else ""
    if name == "title":
        head.title = html.unescape(content[:VALUE_LENGTH_MAX])
    elif _is_json_ld(attributes) and len(head.json_ld) < SCRIPTS_MAX:
        head.json_ld.append(content)
    return closing.end()


def _is_json_ld(attributes: dict[str, str]) -> bool:
    return attributes.get("type", "").strip().lower() == "application/ld+json"


def _take_meta(head: Head, attributes: dict[str, str], *, in_body: bool) -> None:
    content = attributes.get("content")
    if content is None:
        return
    # Catalogues disagree on `property` and `name`. Inside the body only itemprop is the page's own
    # voice: what visitors write ends up there too.
    kinds = ("itemprop",) if in_body else ("property", "name", "itemprop")
    for kind in kinds:
        if name := attributes.get(kind):
            prefix = "itemprop:" if kind == "itemprop" else ""
            head.values.setdefault(f"{prefix}{name.strip().lower()}", html.unescape(content))


def _take_link(head: Head, attributes: dict[str, str]) -> None:
    if (
        head.oembed_url is None
        and "alternate" in attributes.get("rel", "").lower()
        and attributes.get("type", "").strip().lower() == "application/json+oembed"
    ):
        head.oembed_url = html.unescape(attributes.get("href", "")) or None
