"""Which paths are sound, which headers travel, and who serves a prefix."""

import pytest
from auth_gateway.proxy.domain import (
    TokenInQuery,
    UnsoundPath,
    check_path,
    check_query,
    request_headers,
    required_role,
    response_headers,
    route_for,
)


@pytest.mark.parametrize(
    "path",
    [
        b"/api/v1//users",
        b"//api/v1/users",
        b"/api/v1/users/../admin/crawler",
        b"/api/v1/users/./me",
        b"/api/v1/users/..",
        b"/api/v1/users/.",
        b"/api/v1/users/%2e%2e/admin",
        b"/api/v1/users%2Fme",
        b"/api/v1/users%5cme",
        b"/api/v1/users\\me",
        b"/api/v1/users;x=1/me",
        b"/api/v1/users%3Bx",
        b"/api/v1/users%00",
        b"/api/v1/users%0d%0aX-Seda-Identity:x",
        b"/api/v1/users%252e%252e",
        b"/api/v1/users/%",
        b"/api/v1/users/%zz",
        b"/api/v1/us\xc3\xa9rs",
        b"/api/v1/users me",
        b"users",
        b"/" + b"a" * 4_096,
    ],
)
def test_attack_063_a_path_that_reads_in_two_ways_is_refused(path: bytes) -> None:
    with pytest.raises(UnsoundPath):
        check_path(path)


@pytest.mark.parametrize(
    "path",
    [
        b"/api/v1/users/me",
        b"/api/v1/users/",
        b"/api/v1/chat/rooms/0197b1b0/messages/1/reactions/%F0%9F%8E%B5",
        b"/.well-known/jwks.json",
        b"/api/v1/artists/a..b",
    ],
)
def test_plain_paths_are_sound(path: bytes) -> None:
    check_path(path)


@pytest.mark.parametrize(
    "query",
    [b"access_token=x", b"a=1&token=x", b"ticket=x", b"A=1&Access_Token=x", b"a=1;api_key=x"],
)
def test_attack_025_a_credential_in_the_query_is_refused(query: bytes) -> None:
    with pytest.raises(TokenInQuery):
        check_query(query)


@pytest.mark.parametrize(
    "query", [b"", b"limit=20&cursor=abc", b"q=token", b"url=https://x/?token=1"]
)
def test_ordinary_queries_pass(query: bytes) -> None:
    check_query(query)


@pytest.mark.parametrize(
    ("path", "service"),
    [
        ("/api/v1/users", "user-artist"),
        ("/api/v1/users/me", "user-artist"),
        ("/api/v1/artists", "user-artist"),
        ("/api/v1/verification/requests", "verification"),
        ("/api/v1/admin/verification/requests", "verification"),
        ("/api/v1/chat/rooms", "chat-realtime"),
        ("/api/v1/admin/moderation/actions", "chat-realtime"),
        ("/api/v1/tracks/popular", "track-unfurl"),
        ("/api/v1/admin/crawler/jobs", "crawler"),
    ],
)
def test_each_prefix_has_its_service(path: str, service: str) -> None:
    route = route_for(path)
    assert route is not None
    assert route.service == service


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/usersx",
        "/api/v1/",
        "/api/v1/admin",
        "/api/v1/admin/users",
        "/users",
        "/API/v1/users",
    ],
)
def test_a_prefix_ends_at_a_segment(path: str) -> None:
    assert route_for(path) is None


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "get"])
def test_whatever_is_not_plainly_reading_counts_as_writing(method: str) -> None:
    route = route_for("/api/v1/users/me")
    assert route is not None
    assert required_role(route, method) == "USER"
    assert required_role(route, "GET") is None


def test_attack_080_identity_headers_of_the_client_never_travel() -> None:
    hostile = [
        b"X-Seda-Identity",
        b"x-seda-anything",
        b"X_Seda_Identity",
        b"X-User-Id",
        b"X-User-Role",
        b"Remote-User",
        b"Forwarded",
        b"X-Forwarded-For",
        b"X-Forwarded-Host",
        b"X-Real-IP",
        b"X-HTTP-Method-Override",
        b"X-Original-URL",
        b"Authorization",
        b"Cookie",
        b"Host",
        b"Connection",
        b"Upgrade",
        b"TE",
        b"Trailer",
        b"Transfer-Encoding",
        b"Proxy-Authorization",
        b"Baggage",
        b"X-Request-Id",
        b"Traceparent",
    ]
    assert request_headers([(name, b"forged") for name in hostile]) == []


def test_attack_079_connection_cannot_name_a_header_away() -> None:
    kept = request_headers([(b"connection", b"x-seda-identity, accept"), (b"accept", b"a/b")])
    assert kept == [("accept", "a/b")]


def test_a_repeated_header_travels_once() -> None:
    kept = request_headers([(b"content-type", b"one"), (b"Content-Type", b"two")])
    assert kept == [("content-type", "one")]


def test_attack_075_server_names_and_cookies_never_come_back() -> None:
    kept = response_headers(
        [
            ("content-type", "application/json"),
            ("server", "granian"),
            ("x-powered-by", "x"),
            ("set-cookie", "a=b"),
            ("access-control-allow-origin", "*"),
            ("connection", "keep-alive"),
            ("x-seda-identity", "x"),
            ("etag", '"a\r\nset-cookie: b"'),
        ]
    )
    assert kept == [(b"content-type", b"application/json")]
