"""People who use the gateway in tests, by its public API alone."""

from dataclasses import dataclass
from typing import Any

import httpx

PASSWORD = "seven rooms of velvet"


@dataclass
class Person:
    """Somebody with tokens."""

    client: httpx.AsyncClient
    email: str
    user_id: str
    access_token: str
    refresh_token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.access_token}"}

    async def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {**self.headers, **options.pop("headers", {})}
        return await self.client.request(method, f"/api/v1{path}", headers=headers, **options)

    async def refresh(self) -> None:
        answer = await refresh(self.client, self.refresh_token)
        assert answer.status_code == 200, answer.text
        self.access_token = answer.json()["access_token"]
        self.refresh_token = answer.json()["refresh_token"]


async def sign_up(client: httpx.AsyncClient, name: str = "nina", **changes: Any) -> Person:
    email = f"{name}@seda.example"
    body = {"email": email, "password": PASSWORD, **changes}
    answer = await client.post("/api/v1/auth/signup", json=body)
    assert answer.status_code == 201, answer.text
    return _person(client, email, answer)


async def log_in(client: httpx.AsyncClient, name: str = "nina") -> Person:
    email = f"{name}@seda.example"
    body = {"email": email, "password": PASSWORD}
    answer = await client.post("/api/v1/auth/login", json=body)
    assert answer.status_code == 200, answer.text
    return _person(client, email, answer)


async def refresh(client: httpx.AsyncClient, token: str) -> httpx.Response:
    return await client.post("/api/v1/auth/refresh", json={"refresh_token": token})


async def super_admin(client: httpx.AsyncClient, name: str, admin_api_key: str) -> Person:
    person = await sign_up(client, name)
    answer = await person.call("POST", "/auth/bootstrap", json={"admin_api_key": admin_api_key})
    assert answer.status_code == 200, answer.text
    await person.refresh()
    return person


def _person(client: httpx.AsyncClient, email: str, answer: httpx.Response) -> Person:
    held = answer.json()
    return Person(client, email, held["user_id"], held["access_token"], held["refresh_token"])
