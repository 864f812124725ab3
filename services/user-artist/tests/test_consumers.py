"""Each consumer on a real broker, every event delivered twice: one effect."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from conftest import NOON
from seda_contracts.events.artist import ArtistState, ArtistVerificationApplied
from seda_contracts.events.auth import AccountRegistered
from seda_contracts.events.user import UserProfileCreated, UserState
from seda_contracts.events.verification import VerificationApproved
from seda_runtime.ids import uuid7

Make = Callable[..., Any]


def registration(user_id: UUID, display_name: str | None = "Ada") -> AccountRegistered:
    return AccountRegistered(
        user_id=user_id, method="password", registered_at=NOON, display_name=display_name
    )


def approval(artist_id: str, user_id: UUID) -> VerificationApproved:
    return VerificationApproved(
        request_id=uuid7(),
        artist_id=UUID(artist_id),
        user_id=user_id,
        reason_code="found",
        decided_at=NOON,
    )
