"""Signing keys of a pretended gateway: tokens, tickets and identities for tests.

The public halves are served over loopback HTTP, so a service under test fetches and verifies them
exactly as it does in production.
"""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID, uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

ALGORITHM = "ES256"
GATEWAY = "seda-gateway"
API_AUDIENCE = "seda-api"
SOCKET_AUDIENCE = "chat-realtime"
ACCESS_TTL_SECONDS = 900
IDENTITY_TTL_SECONDS = 60
TICKET_TTL_SECONDS = 30


class SigningKey:
    """One ES256 key pair with its key id."""

    def __init__(self, key_id: str) -> None:
        self.key_id = key_id
        self.private = ec.generate_private_key(ec.SECP256R1())

    def public_jwk(self) -> dict[str, Any]:
        jwk = jwt.algorithms.ECAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        return jwk | {"kid": self.key_id, "use": "sig", "alg": ALGORITHM}

    def sign(self, claims: dict[str, Any], *, typ: str) -> str:
        headers = {"typ": typ, "kid": self.key_id}
        return jwt.encode(claims, self.private, algorithm=ALGORITHM, headers=headers)


class GatewayKeys:
    """Two key sets, as the gateway has: one for clients' tokens, one for internal identities.

    `gateway_url` is where both are published; give it to a service as GATEWAY_URL.
    """

    def __init__(self) -> None:
        self.access_key = SigningKey("test-access")
        self.internal_key = SigningKey("test-internal")
        published = {
            "/.well-known/jwks.json": self.access_key,
            "/.well-known/internal-jwks.json": self.internal_key,
        }
        self._bodies = {
            path: json.dumps({"keys": [key.public_jwk()]}).encode()
            for path, key in published.items()
        }
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        self.gateway_url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def access_token(
        self,
        user_id: UUID | str,
        *,
        session_id: UUID | str | None = None,
        role: str = "USER",
        aal: int = 1,
        **changes: Any,
    ) -> str:
        """A client's token. `changes` replace claims, to make it expired or otherwise wrong."""
        claims = {
            **_times(ACCESS_TTL_SECONDS),
            "iss": GATEWAY,
            "aud": API_AUDIENCE,
            "sub": str(user_id),
            "sid": str(session_id or uuid4()),
            "role": role,
            "aal": aal,
            "jti": str(uuid4()),
        }
        return self.access_key.sign(claims | changes, typ="at+jwt")

    def socket_ticket(
        self,
        user_id: UUID | str,
        *,
        session_id: UUID | str | None = None,
        role: str = "USER",
        **changes: Any,
    ) -> str:
        """What `POST /realtime/connect` gives: opens one socket within seconds."""
        claims = {
            **_times(TICKET_TTL_SECONDS),
            "iss": GATEWAY,
            "aud": SOCKET_AUDIENCE,
            "sub": str(user_id),
            "sid": str(session_id or uuid4()),
            "role": role,
            "jti": str(uuid4()),
        }
        return self.access_key.sign(claims | changes, typ="seda-ticket+jwt")

    def identity(
        self,
        service: str,
        method: str,
        path: str,
        *,
        user_id: UUID | str | None = None,
        role: str = "USER",
        session_id: UUID | str | None = None,
        aal: int = 1,
        **changes: Any,
    ) -> str:
        """What the gateway tells `service` about the caller of one request; no user, no subject."""
        # Imported here: runner and launchers need none of the web framework behind it.
        from seda_identity.identity import path_hash

        claims: dict[str, Any] = {
            **_times(IDENTITY_TTL_SECONDS),
            "iss": GATEWAY,
            "aud": service,
            "role": role if user_id is not None else "ANYONE",
            "aal": aal,
            "m": method.upper(),
            "p": path_hash(path.partition("?")[0]),
            "jti": str(uuid4()),
        }
        if user_id is not None:
            claims |= {"sub": str(user_id), "sid": str(session_id or uuid4())}
        return self.internal_key.sign(claims | changes, typ="seda-internal+jwt")

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        bodies = self._bodies

        class KeySets(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = bodies.get(self.path)
                self.send_response(200 if body else 404)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, format: str, *args: Any) -> None:
                """Silence: a request here is no news to whoever reads test output."""

        return KeySets


def _times(ttl_seconds: int) -> dict[str, int]:
    now = int(time.time())
    return {"iat": now, "nbf": now, "exp": now + ttl_seconds}
