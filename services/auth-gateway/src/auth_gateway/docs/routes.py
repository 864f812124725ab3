"""HTTP of the documentation: the merged document, the page and its one script."""

import asyncio
import time
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import msgspec
from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from pyreqwest.client import Client
from pyreqwest.exceptions import PyreqwestError
from pyreqwest.response import Response as ServiceAnswer
from seda_runtime.logging import get_logger

from auth_gateway.docs.merging import merge
from auth_gateway.proxy.domain import Service

log = get_logger(__name__)
FRESH_SECONDS = 60.0
DOCUMENT_BYTES_MAX = 4 << 20
SCRIPT = "rapidoc-min.js"
OPEN = {"open": True}
PAGE = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>seda.fm API</title>
<link rel="icon" href="data:,">
<script type="module" src="/api/docs/{SCRIPT}"></script>
</head>
<body>
<rapi-doc spec-url="/api/openapi.json" load-fonts="false" render-style="read"
 show-header="false" allow-server-selection="false" schema-style="table"></rapi-doc>
</body>
</html>
"""


class DocumentFetcher:
    """The services' documents, asked for when somebody reads, kept for a minute.

    A service that does not answer is left out until it does; what it said before is kept.
    """

    def __init__(self, client: Client, upstreams: Mapping[Service, str]) -> None:
        self._client = client
        self._upstreams = upstreams
        self._held: dict[str, dict[str, Any]] = {}
        self._fetched_at = float("-inf")
        self._lock = asyncio.Lock()

    async def documents(self) -> dict[str, dict[str, Any]]:
        async with self._lock:
            if time.monotonic() - self._fetched_at > FRESH_SECONDS:
                found = await asyncio.gather(*map(self._fetch, self._upstreams))
                self._held.update({name: doc for name, doc in found if doc is not None})
                if len(self._held) == len(self._upstreams):
                    self._fetched_at = time.monotonic()
        return {name: self._held[name] for name in sorted(self._held)}

    async def _fetch(self, service: Service) -> tuple[str, dict[str, Any] | None]:
        url = f"{self._upstreams[service].rstrip('/')}/openapi.json"
        try:
            async with self._client.get(url).build_streamed() as answer:
                body = await _whole(answer)
            if answer.status == 200:
                return service, msgspec.json.decode(body, type=dict[str, Any])
        except (PyreqwestError, msgspec.DecodeError) as error:
            log.warning("docs.service_left_out", service=service, error=type(error).__name__)
        return service, None


async def _whole(answer: ServiceAnswer) -> bytes:
    """The body, cut at the limit: a cut document does not decode and is left out."""
    body = bytearray()
    while len(body) <= DOCUMENT_BYTES_MAX:
        part = await answer.body_reader.read_chunk()
        if part is None:
            break
        body += bytes(part)
    return bytes(body)


def docs_routes(fetcher: DocumentFetcher) -> list[HTTPRouteHandler]:
    @get("/api/openapi.json", operation_id="GetDescription", opt=OPEN, include_in_schema=False)
    async def document(request: Request[Any, Any, Any]) -> Response[dict[str, Any]]:
        own = request.app.openapi_schema.to_schema()
        return Response(merge(own, await fetcher.documents()))

    @get(
        "/api/docs",
        operation_id="GetDocsPage",
        opt=OPEN,
        include_in_schema=False,
        sync_to_thread=False,
    )
    def page() -> Response[str]:
        return Response(PAGE, media_type="text/html")

    @get(
        f"/api/docs/{SCRIPT}",
        operation_id="GetDocsScript",
        opt=OPEN,
        include_in_schema=False,
        sync_to_thread=False,
    )
    def script() -> Response[bytes]:
        headers = {"Cache-Control": "public, max-age=86400"}
        return Response(vendored, media_type="text/javascript", headers=headers)

    vendored = files("auth_gateway.docs").joinpath("vendor", SCRIPT).read_bytes()
    return [document, page, script]
