"""YouTube and YouTube Music share one id space: eleven characters name one video."""

import re

import can_ada

from track_unfurl.links.canonical import Canonical, LinkParts, Provider

_VIDEO = re.compile(r"[0-9A-Za-z_-]{11}")
_LIST = re.compile(r"[0-9A-Za-z_-]{2,64}")
_CHANNEL = re.compile(r"UC[0-9A-Za-z_-]{22}")
_HANDLE = re.compile(r"@[0-9A-Za-z._-]{1,64}")
_NAME = re.compile(r"[0-9A-Za-z._-]{1,64}")
_VIDEO_PATHS = frozenset({"v", "vi", "e", "embed", "shorts", "live", "watch"})
_NOT_VIDEOS = frozenset({"results", "feed", "channel", "c", "user", "playlist", "browse"})
_SHORT_FORM_HOSTS = frozenset({"youtu.be", "y2u.be"})


def read(parts: LinkParts) -> Canonical | None:
    segments = parts.segments
    if parts.host in _SHORT_FORM_HOSTS:
        return _video(segments[0]) if segments else None
    if segments[:1] == ("attribution_link",):
        return _attributed(parts)
    shared = parts.query.get("v", "")
    if _VIDEO.fullmatch(shared) and not _NOT_VIDEOS.intersection(segments[:1]):
        return _video(shared)
    match segments:
        case ["embed", "videoseries"] | ["playlist"]:
            return _playlist(parts.query.get("list", ""))
        case ["embed", "live_stream", *_]:
            return None
        case [path, video_id, *_] if path in _VIDEO_PATHS:
            return _video(video_id)
        case ["browse", list_id] if parts.host == "music.youtube.com" and _LIST.fullmatch(list_id):
            return _page(
                "album", f"browse/{list_id}", f"https://music.youtube.com/browse/{list_id}"
            )
        case ["channel", channel_id, *_] if _CHANNEL.fullmatch(channel_id):
            return _channel(f"channel/{channel_id}")
        case ["c" | "user" as path, name, *_] if _NAME.fullmatch(name):
            return _channel(f"{path}/{name.lower()}")
        case [handle, *_] if _HANDLE.fullmatch(handle):
            return _channel(handle.lower())
    return None


def _attributed(parts: LinkParts) -> Canonical | None:
    """`attribution_link?u=/watch?v=ID` wraps a link of the same site."""
    path, _, query = parts.query.get("u", "").partition("?")
    video_id = can_ada.URLSearchParams(query).get("v")
    return _video(video_id) if path.startswith("/") and video_id else None


def _video(video_id: str) -> Canonical | None:
    if not _VIDEO.fullmatch(video_id):
        return None
    return Canonical(
        provider="youtube",
        kind="video",
        provider_id=video_id,
        canonical_url=f"https://www.youtube.com/watch?v={video_id}",
        embed_url=f"https://www.youtube-nocookie.com/embed/{video_id}",
    )


def _playlist(list_id: str) -> Canonical | None:
    if not _LIST.fullmatch(list_id):
        return None
    return Canonical(
        provider="youtube",
        kind="playlist",
        provider_id=f"playlist/{list_id}",
        canonical_url=f"https://www.youtube.com/playlist?list={list_id}",
        embed_url=f"https://www.youtube-nocookie.com/embed/videoseries?list={list_id}",
    )


def _channel(path: str) -> Canonical:
    return _page("artist", path, f"https://www.youtube.com/{path}")


def _page(kind: str, provider_id: str, canonical_url: str) -> Canonical:
    return Canonical(
        provider="youtube", kind=kind, provider_id=provider_id, canonical_url=canonical_url
    )


PROVIDER = Provider(
    name="youtube",
    hosts=frozenset(
        {
            "youtube.com",
            "www.youtube.com",
            "m.youtube.com",
            "music.youtube.com",
            "youtube-nocookie.com",
            "www.youtube-nocookie.com",
        }
        | _SHORT_FORM_HOSTS
    ),
    read=read,
)
