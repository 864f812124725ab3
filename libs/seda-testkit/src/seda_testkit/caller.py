"""Requests as a service receives them: passed on by the gateway, with an identity for each."""

from typing import Any

import httpx

from seda_testkit.keys import GatewayKeys

IDENTITY_HEADER = "X-Seda-Identity"


class Caller:
    """Sends requests to `service` as the gateway would for one person, or for nobody.

    `who` is what `GatewayKeys.identity` takes: user_id, role, session_id. Paths begin after
    `prefix`.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        keys: GatewayKeys,
        service: str,
        *,
        prefix: str = "/api/v1",
        **who: Any,
    ) -> None:
        self._client = client
        self._keys = keys
        self._service = service
        self._prefix = prefix
        self._who = who

    async def __call__(self, method: str, path: str, **options: Any) -> httpx.Response:
        url = httpx.URL(self._prefix + path)
        # `url.path` is decoded, as the service sees it.
        token = self._keys.identity(self._service, method, url.path, **self._who)
        headers = {IDENTITY_HEADER: token, **options.pop("headers", {})}
        return await self._client.request(method, url, headers=headers, **options)
