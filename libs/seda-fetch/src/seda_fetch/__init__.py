"""Outbound HTTP that cannot be turned against our own network.

Owns the rules about which URL, name and address may be asked, and how many bytes and seconds an
answer may take. Reads no environment, keeps no cookies, cache or connections.
"""

from seda_fetch.errors import (
    BadResponse,
    DeadlineExceeded,
    FetchError,
    OverrideForbidden,
    Refused,
    TooLarge,
    TooManyRedirects,
    Unreachable,
)
from seda_fetch.fetcher import Fetched, Fetcher, FetchLimits
from seda_fetch.override import check_override_allowed
from seda_fetch.urls import TargetUrl, parse_url

__all__ = [
    "BadResponse",
    "DeadlineExceeded",
    "FetchError",
    "FetchLimits",
    "Fetched",
    "Fetcher",
    "OverrideForbidden",
    "Refused",
    "TargetUrl",
    "TooLarge",
    "TooManyRedirects",
    "Unreachable",
    "check_override_allowed",
    "parse_url",
]
