"""Settings fail at start, all at once, by name and never by value."""

import pytest
from seda_runtime.settings import ServiceSettings, SettingsError, load

REQUIRED = {"PORT": "3001", "DATABASE_URL": "postgresql://u:hunter2@h/d", "NATS_URL": "nats://h"}


class Settings(ServiceSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    cors_origins: tuple[str, ...] = ("http://localhost:3000",)
    fetch_resolver_override: dict[str, str] | None = None


def test_defaults_apply_and_text_becomes_numbers() -> None:
    settings = load(Settings, REQUIRED)
    assert (settings.port, settings.env, settings.metrics_port) == (3001, "development", None)


def test_an_empty_variable_is_an_unset_one() -> None:
    assert load(Settings, REQUIRED | {"METRICS_PORT": "", "ENV": ""}).env == "development"


def test_lists_are_separated_by_commas() -> None:
    settings = load(Settings, REQUIRED | {"CORS_ORIGINS": "https://a.fm, https://b.fm"})
    assert settings.cors_origins == ("https://a.fm", "https://b.fm")


def test_mappings_are_json() -> None:
    settings = load(Settings, REQUIRED | {"FETCH_RESOLVER_OVERRIDE": '{"a.example":"127.0.0.1:1"}'})
    assert settings.fetch_resolver_override == {"a.example": "127.0.0.1:1"}


def test_every_problem_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        load(Settings, {"PORT": "70000", "ENV": "prod", "TRACE_SAMPLE_RATIO": "2"})
    text = str(caught.value)
    for name in ("PORT", "ENV", "TRACE_SAMPLE_RATIO", "DATABASE_URL is required"):
        assert name in text


def test_values_are_never_in_the_error() -> None:
    with pytest.raises(SettingsError) as caught:
        load(Settings, REQUIRED | {"PORT": "hunter2"})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("port", ["-1", "65536", "1.5", "x", " "])
def test_a_port_outside_the_range_is_refused(port: str) -> None:
    with pytest.raises(SettingsError, match="PORT"):
        load(Settings, REQUIRED | {"PORT": port})


@pytest.mark.parametrize("port", ["0", "65535"])
def test_the_ends_of_the_port_range_are_allowed(port: str) -> None:
    assert load(Settings, REQUIRED | {"PORT": port}).port == int(port)
