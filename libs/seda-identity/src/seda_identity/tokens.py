"""ES256 tokens: one allowed algorithm, one allowed type, keys by id from a JWKS that is cached.

RFC 7515/7519/9068. Everything that is not exactly the expected form is refused as invalid; only a
sound token past its time is called expired.
"""

import asyncio
import json
import re
import time
from collections import OrderedDict
from typing import Any, Protocol

import httpx
import jwt
from jwt.algorithms import ECAlgorithm
from jwt.utils import base64url_decode

ALGORITHM = "ES256"
TOKEN_BYTES_MAX = 8_192
LEEWAY_SECONDS = 30
REFETCH_SECONDS_MIN = 30.0
VERIFIED_TOKENS_MAX = 10_000
EXP_MAX = 2**53
"""What every JSON parser still reads exactly; far beyond any calendar."""
REQUIRED_CLAIMS = ["iss", "aud", "iat", "exp"]


_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{85}[AQgw]")
"""Three unpadded base64url parts. A P-256 signature is 64 bytes, so its last letter carries two
bits: any other letter there would be a second spelling of the same token."""


class InvalidToken(Exception):
    """Forged, malformed, of another type, for someone else, or signed by an unknown key."""


class TokenExpired(InvalidToken):
    """Sound, but its time is over."""


class KeysUnavailable(ConnectionError):
    """The issuer's public keys cannot be read right now."""


class KeySource(Protocol):
    """Where public keys are looked up by `kid`."""

    async def key(self, kid: str) -> Any:
        """Raises InvalidToken for a key the issuer does not publish."""


class JwksCache:
    """Public keys by `kid`. An unknown kid asks again, at most once in thirty seconds."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._keys: dict[str, Any] = {}
        self._fetched_at = float("-inf")
        self._lock = asyncio.Lock()

    async def key(self, kid: str) -> Any:
        """Raises InvalidToken for a key the issuer does not publish, KeysUnavailable without it."""
        if kid not in self._keys:
            async with self._lock:
                if kid not in self._keys and self._may_fetch():
                    await self._fetch()
        try:
            return self._keys[kid]
        except KeyError:
            raise InvalidToken("unknown key") from None

    def _may_fetch(self) -> bool:
        # With no key at all every call may try: the issuer may be starting beside us.
        return not self._keys or time.monotonic() - self._fetched_at > REFETCH_SECONDS_MIN

    async def _fetch(self) -> None:
        try:
            async with httpx.AsyncClient(timeout=3, trust_env=False) as client:
                answer = await client.get(self._url)
                answer.raise_for_status()
                published = answer.json()["keys"]
        except (httpx.HTTPError, ValueError, KeyError) as error:
            raise KeysUnavailable("the issuer's keys cannot be read") from error
        self._fetched_at = time.monotonic()
        self._keys = {
            key["kid"]: ECAlgorithm.from_jwk(key)
            for key in published
            if key.get("kty") == "EC" and key.get("crv") == "P-256" and "kid" in key
        }


class TokenVerifier:
    """Checks tokens of one type, issuer and audience. Verified ones are remembered until `exp`,
    the newest `remembered_max` of them: none where a token comes once.
    """

    def __init__(
        self,
        keys: KeySource,
        *,
        issuer: str,
        audience: str,
        token_type: str,
        remembered_max: int = VERIFIED_TOKENS_MAX,
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._type = token_type
        self._remembered_max = remembered_max
        self._verified: OrderedDict[str, dict[str, Any]] = OrderedDict()

    async def verify(self, token: str) -> dict[str, Any]:
        """The claims. Raises InvalidToken, TokenExpired or KeysUnavailable."""
        known = self._verified.get(token)
        if known is not None:
            if known["exp"] + LEEWAY_SECONDS <= time.time():
                del self._verified[token]
                raise TokenExpired("the token has expired")
            return known
        claims = await self._check(token)
        self._verified[token] = claims
        if len(self._verified) > self._remembered_max:
            self._verified.popitem(last=False)
        return claims

    async def _check(self, token: str) -> dict[str, Any]:
        if len(token) > TOKEN_BYTES_MAX or not _COMPACT.fullmatch(token):
            raise InvalidToken("not a token")
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.InvalidTokenError, ValueError, RecursionError) as error:
            raise InvalidToken("not a token") from error
        kid = header.get("kid")
        if (
            header.get("alg") != ALGORITHM
            or header.get("typ") != self._type
            or not isinstance(kid, str)
            or "crit" in header
            or header.get("b64") is False
        ):
            raise InvalidToken("not a token of this kind")
        key = await self._keys.key(kid)
        return self._decode(token, key)

    def _decode(self, token: str, key: Any) -> dict[str, Any]:
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                audience=self._audience,
                issuer=self._issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": REQUIRED_CLAIMS},
            )
        except jwt.ExpiredSignatureError as error:
            _check_payload(token)
            raise TokenExpired("the token has expired") from error
        except (jwt.InvalidTokenError, ValueError, TypeError, RecursionError) as error:
            raise InvalidToken(type(error).__name__) from error
        _check_payload(token)
        if claims["aud"] != self._audience:
            raise InvalidToken("for someone else")
        return claims


def _check_payload(token: str) -> None:
    """Of a verified token. Raises InvalidToken for an `exp` that is no time, and for a claim that
    is named twice: parsers disagree about which one counts.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) != len(pairs):
            raise InvalidToken("a claim is named twice")
        return dict(pairs)

    claims = json.loads(base64url_decode(token.split(".")[1]), object_pairs_hook=unique)
    exp = claims["exp"]
    if type(exp) is not int or not 0 <= exp <= EXP_MAX:
        raise InvalidToken("exp is not a time")
