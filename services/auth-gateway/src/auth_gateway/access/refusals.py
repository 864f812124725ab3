"""The ways in which the door stays shut, and how a bearer token is read off a request."""

from collections.abc import Iterable

from seda_identity import Forbidden, SignInRequired

CHALLENGE = 'Bearer realm="seda.fm"'
__all__ = [
    "AccessTokenExpired",
    "BodyNotJson",
    "Forbidden",
    "InvalidAccessToken",
    "MissingToken",
    "RateLimited",
    "bearer_token",
    "credential",
]


class MissingToken(SignInRequired):
    """The route needs a person and the request names none."""

    headers = {"WWW-Authenticate": CHALLENGE}


class InvalidAccessToken(Exception):
    """Forged, malformed, made for something else, or revoked: which one stays unsaid."""

    headers = {"WWW-Authenticate": f'{CHALLENGE}, error="invalid_token"'}

    def __str__(self) -> str:
        return "Invalid authentication token"


class AccessTokenExpired(Exception):
    """A sound token past its time; a refresh gives another."""

    headers = {
        "WWW-Authenticate": f'{CHALLENGE}, error="invalid_token", error_description="expired"'
    }

    def __str__(self) -> str:
        return "The access token has expired"


class BodyNotJson(Exception):
    """A form could be sent by any page; JSON with its type cannot, without being asked about."""


class RateLimited(Exception):
    """The caller's allowance is spent."""

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__()
        self.retry_after_seconds = retry_after_seconds


def bearer_token(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The token of the one `Authorization: Bearer`. None when the header is absent.

    Raises InvalidAccessToken for another scheme and for two headers: nothing is guessed.
    """
    found = [value for name, value in headers if name == b"authorization"]
    if not found:
        return None
    scheme, _, token = found[0].partition(b" ")
    if len(found) > 1 or scheme.lower() != b"bearer" or not token or b" " in token:
        raise InvalidAccessToken
    return token.decode("latin-1")


def credential(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The bearer token, or the key in `X-Api-Key`. Raises InvalidAccessToken for both at once."""
    given = list(headers)
    token = bearer_token(given)
    keys = [value.decode("latin-1") for name, value in given if name == b"x-api-key"]
    if not keys:
        return token
    if token is not None or len(keys) > 1 or not keys[0].startswith("seda_"):
        raise InvalidAccessToken
    return keys[0]
