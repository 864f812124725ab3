"""Everything a fetch can end in besides an answer. Each error has a code that never changes."""


class FetchError(Exception):
    """A fetch that gave no answer. `code` is stable; the text is for people and holds no URL.

    `redirect_urls` are the hops followed before the failure and `failed_url` is where it happened;
    both are filled in by the fetcher.
    """

    code = "fetch_failed"

    def __init__(self, detail: str = "", *, code: str | None = None) -> None:
        if code is not None:
            self.code = code
        super().__init__(detail or self.code)
        self.failed_url: str | None = None
        self.redirect_urls: tuple[str, ...] = ()


class Refused(FetchError):
    """Our own guard said no. Retrying cannot help.

    Codes: invalid_url, refused_scheme, refused_userinfo, refused_port, refused_host,
    refused_address.
    """

    code = "refused_address"


class Unreachable(FetchError):
    """No connection could be made. Codes: dns_failed, connect_failed, tls_failed."""

    code = "connect_failed"


class BadResponse(FetchError):
    """The other side does not speak HTTP, breaks it off, or uses an encoding it was not offered."""

    code = "bad_response"


class TooLarge(FetchError):
    """More bytes than the limits allow, on the wire or after inflation."""

    code = "too_large"


class TooManyRedirects(FetchError):
    """The chain is longer than `redirects_max`; a loop ends here too."""

    code = "too_many_redirects"


class DeadlineExceeded(FetchError):
    """The one deadline of the whole chain has passed."""

    code = "deadline_exceeded"


class OverrideForbidden(ValueError):
    """A resolver override is set in an environment that serves real people."""
