"""Every route the merged document names, with odd values in every place: refused, never a 500.

Nothing here is random. Each operation gets one sound request, and then the same request again
with one thing wrong; what comes back is a success or a sound problem.
"""

import asyncio
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
from seda_devrunner.people import enter_as_admin
from seda_testkit.client import Api, ApiError

PASSWORD = "lanterns-over-water-7"
AT_ONCE = 12
HUGE = 10**30
ODD_TEXTS = (
    "",
    "\x00",
    "a\x00b",
    "\ufffe\uffff",
    "\u202e\u200b",
    "👩‍👩‍👧‍👦" * 40,
    "x" * 20_000,
    "*",
    "a.b.>",
    "../../etc/passwd",
    "'; DROP TABLE room; --",
    "-1",
    "1e999",
    "99999999999999999999999999",
    "2026-13-45T99:99:99Z",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59",
    "00000000-0000-0000-0000-000000000000",
    "http://[::ffff:127.0.0.1]:1/\x00",
    "http://a\x00.example/",
)
ODD_VALUES = (
    None,
    True,
    0,
    -1,
    2**31,
    2**63,
    HUGE,
    -HUGE,
    1e308,
    [],
    [[]],
    {},
    {"\x00": "\x00"},
    *ODD_TEXTS,
)
ODD_BODIES = (
    b"",
    b"null",
    b"0",
    b'"x"',
    b"[]",
    b"{}",
    b"{",
    b"\x00",
    b"\xff\xfe{}",
    b'{"\\ud800":1}',
    b'{"name":"\\ud800","text":"\\udfff","email":"\\ud800"}',
    b'{"text":"\\u0000"}',
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b"1" * 50_000,
    b'{"name":NaN}',
    b'{"name":1e99999}',
)
ODD_HEADERS: tuple[dict[str, str | bytes], ...] = (
    {"Idempotency-Key": "x" * 5_000},
    {"Idempotency-Key": b"\xff\xfe"},
    {"Idempotency-Key": ""},
    {"X-Request-Id": b"\xff" * 30},
    {"traceparent": "00-zz-zz-zz"},
    {"Accept-Language": "x" * 5_000},
    {"Content-Type": "text/\xff".encode("latin-1")},
    {"Content-Type": "application/json; charset=utf-7"},
    {"Content-Type": "multipart/form-data"},
    {"Content-Type": "application/x-www-form-urlencoded"},
    {"Content-Type": "application/x-msgpack"},
    {"Content-Encoding": "gzip"},
    {"If-None-Match": b'"\xff'},
    {"X-Forwarded-For": ", ::::, 1.2.3.4.5"},
    {"Cookie": "=;=;;\xff".encode("latin-1")},
    {"Range": "bytes=-1--9"},
    {"Expect": "nothing"},
)
LEAKS = ("Traceback", "sqlalchemy", "asyncpg", "/src/", "SELECT ", "msgspec", 'File "')
SKIPPED = {"LogOut", "EndSession", "SignUp", "RefreshSession"}
"""They end the session under test or cost a password hash each; two of them are tried apart."""


@dataclass(frozen=True, slots=True)
class Shot:
    """One request, and what is odd about it."""

    operation: str
    odd: str
    method: str
    path: str
    query: dict[str, str]
    body: Any = None
    content: bytes | None = None
    headers: dict[str, str | bytes] | None = None


class Document:
    """What the merged OpenAPI document says can be sent."""

    def __init__(self, content: dict[str, Any], sound: dict[str, Any]) -> None:
        self._content = content
        self._sound = sound

    def operations(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        for path, item in self._content["paths"].items():
            for method, operation in item.items():
                yield method.upper(), path, operation

    def shots(self) -> Iterator[Shot]:
        for method, path, operation in self.operations():
            if operation["operationId"] not in SKIPPED:
                yield from self._shots_of(method, path, operation)

    def _shots_of(self, method: str, path: str, operation: dict[str, Any]) -> Iterator[Shot]:
        named = operation.get("parameters", [])
        required = [p["name"] for p in named if p["in"] == "query" and p.get("required")]
        sound = Shot(
            operation["operationId"],
            "nothing",
            method,
            self._filled(path, {}),
            {name: self._sound.get(name, "1") for name in required},
        )
        yield from self._odd_parameters(sound, path, named)
        content = operation.get("requestBody", {}).get("content", {})
        if content:
            yield from self._odd_bodies(sound, next(iter(content.values()))["schema"])
        elif method in ("GET", "POST"):
            yield sound
            yield replace(sound, odd="a body nobody asked for", content=b"\x00{")

    def _odd_parameters(
        self, sound: Shot, path: str, named: list[dict[str, Any]]
    ) -> Iterator[Shot]:
        for parameter in named:
            name, place = parameter["name"], parameter["in"]
            for text in ODD_TEXTS:
                odd = f"{place} {name}={text[:30]!r}"
                if place == "path":
                    yield replace(sound, odd=odd, path=self._filled(path, {name: text}))
                elif place == "query":
                    yield replace(sound, odd=odd, query=sound.query | {name: text})

    def _odd_bodies(self, sound: Shot, schema: dict[str, Any]) -> Iterator[Shot]:
        fields = self._fields(schema)
        body = {name: self._sound_value(name, field) for name, field in fields.items()}
        sound = replace(sound, body=body)
        yield sound
        yield replace(sound, odd="unknown field", body=body | {"unknown": 1})
        for name in fields:
            for value in ODD_VALUES:
                odd = f"field {name}={str(value)[:30]!r}"
                yield replace(sound, odd=odd, body=body | {name: value})
        for raw in ODD_BODIES:
            yield replace(sound, odd=f"body {raw[:30]!r}", content=raw)
        for headers in ODD_HEADERS:
            yield replace(sound, odd=f"header {str(headers)[:60]}", headers=headers)

    def _filled(self, path: str, odd: dict[str, str]) -> str:
        return re.sub(
            r"\{(\w+)\}",
            lambda found: quote(str((self._sound | odd)[found[1]]), safe=""),
            path,
        )

    def _fields(self, schema: dict[str, Any]) -> dict[str, Any]:
        return dict(self._resolve(schema).get("properties", {}))

    def _resolve(self, schema: dict[str, Any]) -> dict[str, Any]:
        name = schema.get("$ref", "").rpartition("/")[2]
        return dict(self._content["components"]["schemas"][name]) if name else schema

    def _sound_value(self, name: str, schema: dict[str, Any]) -> Any:
        schema = self._resolve(schema)
        if name in self._sound:
            return self._sound[name]
        if "enum" in schema:
            return schema["enum"][0]
        kinds = {option.get("type") for option in schema.get("oneOf", [schema])}
        if "boolean" in kinds:
            return False
        return None if "null" in kinds else "sound"


async def a_sound_world(api: Api, admin: Api) -> dict[str, Any]:
    """Things of the caller's own, so that odd values get past "there is nothing here"."""
    room = await admin.post("/chat/rooms", {"name": "Odd things"})
    message = await admin.post(f"/chat/rooms/{room['id']}/messages", {"text": "hello"})
    other = await api.sign_up(f"odd-{uuid4().hex[:8]}@demo.example", PASSWORD, "Odd")
    try:
        artist = await admin.post("/artists", {"artist_name": f"Odd {uuid4().hex[:8]}"})
    except ApiError:
        artist = await admin.get("/artists/me")
    # Development's stand-in for a page of the artist's own.
    page = "http://artists.example/odd"
    claim = {"artist_id": artist["id"], "target_url": page}
    try:
        request_id = (await admin.post("/verification/requests", claim))["id"]
    except ApiError:
        request_id = str(uuid4())
    bot = await admin.post("/bots", {"name": "Odd bot"})
    key = await admin.post(f"/bots/{bot['id']}/keys", {"name": "odd", "scopes": ["room:read"]})
    invite = await admin.post(f"/chat/rooms/{room['id']}/invites", {})
    return {
        "bot_id": bot["id"],
        "key_id": key["id"],
        "invite_id": invite["id"],
        "report_id": str(uuid4()),
        "room_id": room["id"],
        "message_id": message["id"],
        "user_id": other.user_id,
        "emoji": "🔥",
        "artist_id": artist["id"],
        "request_id": request_id,
        "track_id": str(uuid4()),
        "session_id": str(uuid4()),
        "url": "https://nowhere.invalid/a",
        "target_url": page,
        "until": "2099-01-01T00:00:00Z",
        "email": f"odd-{uuid4().hex[:8]}@demo.example",
        "password": PASSWORD,
        "admin_api_key": "guess",
        "parent_id": None,
        "handle": f"odd{uuid4().hex[:8]}",
        "cid": None,
    }


def defects_of(shot: Shot, answer: httpx.Response) -> Iterator[str]:
    if answer.status_code < 400:
        return
    if answer.status_code >= 500:
        yield f"{answer.status_code}"
    if not answer.headers.get("content-type", "").startswith("application/problem+json"):
        yield f"{answer.status_code} is no problem+json"
        return
    if not answer.json().get("code"):
        yield f"{answer.status_code} has no code"
    yield from (f"{answer.status_code} tells {leak!r}" for leak in LEAKS if leak in answer.text)


async def fire(http: httpx.AsyncClient, shot: Shot) -> list[str]:
    headers: dict[str, str | bytes] = dict(shot.headers or {})
    content = shot.content
    if content is None and shot.body is not None:
        content = json.dumps(shot.body).encode()
    if content is not None and "Content-Type" not in headers:
        headers["Content-Type"] = "application/json"
    try:
        answer = await http.request(
            shot.method, shot.path, params=shot.query or None, content=content, headers=headers
        )
    except httpx.InvalidURL:
        return []  # this client refuses to send it
    except httpx.HTTPError as error:
        return [f"{shot.operation}, {shot.odd}: no answer ({error!r})"]
    return [f"{shot.operation}, {shot.odd}: {d}" for d in defects_of(shot, answer)]


async def test_no_odd_value_anywhere_is_an_error_of_the_server(running: Any) -> None:
    secrets = running.wiring.backing.secrets
    async with Api.at(running.gateway_url) as api:
        admin = await enter_as_admin(api, secrets.admin_api_key)
        assert admin._tokens is not None
        sound = await a_sound_world(api, admin)
    headers = {"Authorization": f"Bearer {admin._tokens.access_token}"}
    async with httpx.AsyncClient(
        base_url=running.gateway_url, trust_env=False, headers=headers, timeout=20
    ) as http:
        document = Document((await http.get("/api/openapi.json")).json(), sound)
        turns = asyncio.Semaphore(AT_ONCE)

        async def in_turn(shot: Shot) -> list[str]:
            async with turns:
                return await fire(http, shot)

        found = await asyncio.gather(*(in_turn(shot) for shot in document.shots()))
    defects = [defect for defects in found for defect in defects]
    assert len(found) > 1_500, "the document names hardly anything"
    assert not defects, "\n".join(defects[:60])
