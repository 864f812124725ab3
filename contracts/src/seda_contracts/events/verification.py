"""Facts about claims on artist profiles. Owner: verification."""

from typing import ClassVar, Literal
from uuid import UUID

from seda_contracts.base import Event, Timestamp

ReasonCode = Literal[
    "found",
    "not_found",
    "wrong_place",
    "reflected",
    "redirected_off_origin",
    "blocked",
    "unreachable",
    "expired",
    "reviewed",
    "conflict",
]


class VerificationSubmitted(Event, frozen=True, kw_only=True):
    TYPE: ClassVar[str] = "verification.request.submitted.v1"
    KEY: ClassVar[str] = "request_id"

    request_id: UUID
    artist_id: UUID
    user_id: UUID
    expires_at: Timestamp


class VerificationCheckPassed(Event, frozen=True, kw_only=True):
    TYPE: ClassVar[str] = "verification.check.passed.v1"
    KEY: ClassVar[str] = "request_id"

    request_id: UUID
    artist_id: UUID
    automatic: bool
    """True when the proof needs no person: owner-only place on a page the artist had listed."""
    checked_at: Timestamp


class VerificationCheckFailed(Event, frozen=True, kw_only=True):
    TYPE: ClassVar[str] = "verification.check.failed.v1"
    KEY: ClassVar[str] = "request_id"

    request_id: UUID
    artist_id: UUID
    reason_code: ReasonCode
    conclusive: bool
    """False for outages and blocks, which never count as an attempt."""
    checked_at: Timestamp


class VerificationApproved(Event, frozen=True, kw_only=True):
    TYPE: ClassVar[str] = "verification.request.approved.v1"
    KEY: ClassVar[str] = "request_id"

    request_id: UUID
    artist_id: UUID
    user_id: UUID
    reviewer_id: UUID | None = None
    """None when the proof was decisive by itself."""
    reason_code: ReasonCode
    decided_at: Timestamp


class VerificationRejected(Event, frozen=True, kw_only=True):
    TYPE: ClassVar[str] = "verification.request.rejected.v1"
    KEY: ClassVar[str] = "request_id"

    request_id: UUID
    artist_id: UUID
    user_id: UUID
    reviewer_id: UUID | None = None
    reason_code: ReasonCode
    decided_at: Timestamp


class VerificationExpired(Event, frozen=True, kw_only=True):
    TYPE: ClassVar[str] = "verification.request.expired.v1"
    KEY: ClassVar[str] = "request_id"

    request_id: UUID
    artist_id: UUID
    user_id: UUID
    expired_at: Timestamp
