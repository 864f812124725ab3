"""What verification reads from its environment. Every limit names its unit or its window."""

from datetime import timedelta
from typing import Annotated

from msgspec import Meta
from seda_runtime.settings import ServiceSettings

from verification.domain import CODE_GROUP_SYMBOLS, Limits


class Settings(ServiceSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The limits of claims, beside what every service needs."""

    verification_code_length: Annotated[int, Meta(ge=8, le=16, multiple_of=CODE_GROUP_SYMBOLS)] = 8
    """Symbols of a code without prefix and dashes. Fewer than eight could be guessed."""
    verification_code_expiry_days: Annotated[int, Meta(ge=1, le=90)] = 7
    rate_limit_verification_per_day: Annotated[int, Meta(ge=1, le=100)] = 3
    """New codes a person gets in any 24 hours."""
    verification_automatic_approval: bool = True
    """Off: every code that was found waits for a person."""

    def limits(self) -> Limits:
        return Limits(
            code_symbols=self.verification_code_length,
            code_lifetime=timedelta(days=self.verification_code_expiry_days),
            claims_per_day_max=self.rate_limit_verification_per_day,
            automatic_approval=self.verification_automatic_approval,
        )
