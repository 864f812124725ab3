"""The demo sites as a person edits them: an artist writing on a page of their own."""

from types import TracebackType
from typing import Self

import httpx

ARTISTS_HOST = "artists.example"
TUNES_HOST = "tunes.example"


def page_url(slug: str) -> str:
    return f"http://{ARTISTS_HOST}/{slug}"


def track_url(number: int) -> str:
    return f"http://{TUNES_HOST}/track/{number}"


class DemoPages:
    """Writes to `artists.example`, which answers on a loopback port."""

    def __init__(self, demosites_url: str) -> None:
        self._http = httpx.AsyncClient(base_url=demosites_url, trust_env=False)

    async def write_about(self, slug: str, text: str) -> None:
        """What only the artist can do: the place where a claim code counts."""
        await self._put(f"/{slug}/about", text)

    async def write_comment(self, slug: str, text: str) -> None:
        """What anybody can do."""
        await self._put(f"/{slug}/comments", text)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.aclose()

    async def _put(self, path: str, text: str) -> None:
        answer = await self._http.put(path, content=text, headers={"Host": ARTISTS_HOST})
        answer.raise_for_status()
