"""Finding links in what people type. Pure."""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import msgspec
from seda_contracts.events.unfurl import link_id

LINKS_MAX = 5
URL_LENGTH_MAX = 2_048

_LINK = re.compile(r"(?:https?://[^\s<>\"'`\\^{}|]+|spotify:[a-z]+:[A-Za-z0-9]+)", re.IGNORECASE)
_TRAILING = ".,;:!?…»«”’*_~"


class FoundLink(msgspec.Struct, frozen=True, kw_only=True):
    link_id: UUID
    url: str


class ShownCard(msgspec.Struct, frozen=True, kw_only=True):
    """A card on a message. Clients keep the one with the higher version."""

    link_id: UUID
    url: str
    card_version: int
    card: dict[str, Any]


def find_links(text: str) -> list[FoundLink]:
    """The first few different links, in the order of the text and exactly as typed."""
    if ":" not in text:
        return []
    found: dict[UUID, FoundLink] = {}
    for match in _LINK.finditer(text):
        url = _without_punctuation(match.group())
        if not _is_worth_asking(url):
            continue
        found.setdefault(link_id(url), FoundLink(link_id=link_id(url), url=url))
        if len(found) == LINKS_MAX:
            break
    return list(found.values())


def links_and_cards(links: Sequence[FoundLink], shown: Mapping[UUID, ShownCard]) -> dict[str, Any]:
    """As a message tells them: every link, and the cards that are there already."""
    cards = [shown[link.link_id] for link in links if link.link_id in shown]
    return {"links": msgspec.to_builtins(links), "cards": msgspec.to_builtins(cards)}


def _without_punctuation(url: str) -> str:
    """What ends a sentence or closes a bracket around the link is not part of it."""
    while url:
        last = url[-1]
        if last in _TRAILING or (
            last in ")]" and url.count(last) > url.count("(" if last == ")" else "[")
        ):
            url = url[:-1]
        else:
            break
    return url


def _is_worth_asking(url: str) -> bool:
    if len(url) > URL_LENGTH_MAX:
        return False
    if url.lower().startswith("spotify:"):
        return True
    try:
        return bool(urlsplit(url).hostname)
    except ValueError:
        return False
