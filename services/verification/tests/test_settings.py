"""The limits as the environment gives them."""

from datetime import timedelta

import pytest
from seda_runtime.settings import SettingsError, load
from verification.settings import Settings

NEEDED = {"PORT": "0", "DATABASE_URL": "postgresql://db/seda", "NATS_URL": "nats://bus"}


def test_limits_come_from_the_documented_variables() -> None:
    env = NEEDED | {
        "VERIFICATION_CODE_LENGTH": "12",
        "VERIFICATION_CODE_EXPIRY_DAYS": "3",
        "RATE_LIMIT_VERIFICATION_PER_DAY": "5",
        "VERIFICATION_AUTOMATIC_APPROVAL": "false",
    }
    limits = load(Settings, env).limits()
    assert (limits.code_symbols, limits.code_lifetime) == (12, timedelta(days=3))
    assert (limits.claims_per_day_max, limits.automatic_approval) == (5, False)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VERIFICATION_CODE_LENGTH", "4"),
        ("VERIFICATION_CODE_LENGTH", "10"),
        ("VERIFICATION_CODE_LENGTH", "20"),
        ("VERIFICATION_CODE_EXPIRY_DAYS", "0"),
        ("RATE_LIMIT_VERIFICATION_PER_DAY", "0"),
        ("VERIFICATION_AUTOMATIC_APPROVAL", "perhaps"),
    ],
)
def test_a_limit_that_would_break_the_flow_stops_the_start(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        load(Settings, NEEDED | {name: value})
