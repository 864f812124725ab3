"""The service as a whole: it refuses to start unsafely, and its lists agree with each other."""

import os
import pkgutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import auth_gateway
import msgspec
import pytest
from auth_gateway.app import create_app, upstreams_of
from auth_gateway.keys.files import KeysUnusable, load_keys
from auth_gateway.problems import PROBLEMS
from auth_gateway.proxy.domain import ROUTES
from auth_gateway.proxy.forward import AnswerCutOff
from auth_gateway.proxy.routes import Proxying, UpstreamMissing, proxy_mounts
from auth_gateway.settings import Settings, check_for_environment
from auth_gateway.tables import Table
from litestar import get
from seda_identity import Policy, enforce_policies
from seda_identity.policy import PolicyMissing
from seda_messaging.command_line import describe
from seda_runtime.application import build_app
from seda_runtime.settings import SettingsError
from seda_testkit.databases import ServiceDatabase
from seda_testkit.problems import errors_of
from seda_testkit.schema import assert_migrations_are_sound

NOT_FOR_CLIENTS = {AnswerCutOff, KeysUnusable, UpstreamMissing}
"""Raised at start or after an answer has begun; no problem could be written."""


def production(**changes: Any) -> Settings:
    safe = {
        "env": "production",
        "port": 3001,
        "database_url": "postgresql://auth_app@db/seda",
        "nats_url": "nats://nats",
        "cors_origins": ("https://seda.fm",),
        "auth_keyset_dir": "/run/keys",
        "realtime_url": "wss://api.seda.fm/api/v1/realtime",
    }
    return Settings(**{**safe, **changes})


def test_safe_production_settings_are_accepted() -> None:
    check_for_environment(production())
    check_for_environment(production(admin_api_key="f" * 32))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"docs_enabled": True}, "DOCS_ENABLED"),
        ({"cors_origins": ("*",)}, "CORS_ORIGINS"),
        ({"cors_origins": ("https://*.seda.fm",)}, "CORS_ORIGINS"),
        ({"cors_origins": ("null",)}, "CORS_ORIGINS"),
        ({"cors_origins": ("http://localhost:3000",)}, "CORS_ORIGINS"),
        ({"auth_keyset_dir": ""}, "AUTH_KEYSET_DIR"),
        ({"realtime_url": "ws://127.0.0.1:3014"}, "REALTIME_URL"),
        ({"admin_api_key": "short"}, "ADMIN_API_KEY"),
        ({"admin_api_key": "your-admin-api-key-goes-here-please"}, "ADMIN_API_KEY"),
    ],
)
def test_attack_015_unsafe_production_settings_refuse_the_start(
    changes: dict[str, Any], named: str
) -> None:
    with pytest.raises(SettingsError, match=named) as refused:
        create_app(production(**changes))
    assert "short" not in str(refused.value).replace("too short", "")


def test_a_wildcard_origin_is_refused_in_development_too() -> None:
    settings = production(env="development", cors_origins=("*",))
    with pytest.raises(SettingsError, match="CORS_ORIGINS"):
        check_for_environment(settings)


def test_production_without_keys_refuses_the_start(tmp_path: Path) -> None:
    with pytest.raises(KeysUnusable):
        create_app(production(auth_keyset_dir=str(tmp_path)))


def test_production_with_keys_hides_the_documentation(tmp_path: Path) -> None:
    load_keys(tmp_path, may_make=True)
    paths = {route.path for route in create_app(production(auth_keyset_dir=str(tmp_path))).routes}
    assert "/api/v1/auth/login" in paths
    assert not {"/api/docs", "/api/openapi.json"} & paths


def test_a_route_without_a_policy_refuses_the_start(settings: Settings) -> None:
    @get("/api/v1/forgotten")
    async def forgotten() -> None: ...

    with pytest.raises(PolicyMissing, match="/api/v1/forgotten"):
        build_app(
            settings,
            name="x",
            description="x",
            route_handlers=[forgotten],
            problems=PROBLEMS,
            before_start=[enforce_policies],
        )


def test_a_prefix_without_a_service_refuses_the_start(settings: Settings) -> None:
    upstreams = dict(upstreams_of(settings))
    del upstreams["crawler"]
    unset: Any = None
    with pytest.raises(UpstreamMissing, match="crawler"):
        proxy_mounts(
            Proxying(
                client=unset, streams=unset, signer=unset, upstreams=upstreams, body_bytes_max=1
            )
        )


def test_every_route_names_a_limit_class_that_exists(settings: Settings) -> None:
    app = create_app(settings)
    policies = [
        handler.opt["policy"]
        for route in app.routes
        for handler in getattr(route, "route_handlers", ())
        if isinstance(handler.opt.get("policy"), Policy)
    ]
    assert len(policies) >= 11
    named = {policy.limit for policy in policies} | {route.limit for route in ROUTES}
    assert named == {"default", "auth"}


def test_every_error_of_the_service_has_a_problem() -> None:
    modules = [
        import_module(module.name)
        for module in pkgutil.walk_packages(auth_gateway.__path__, "auth_gateway.")
        if "migrations" not in module.name and "__main__" not in module.name
    ]
    raised = errors_of(*modules)
    inner = {kind for kind in raised if kind.__name__ == "CannotUnseal"}
    assert raised - set(PROBLEMS) == NOT_FOR_CLIENTS | inner


def test_problem_codes_are_stable_words() -> None:
    for problem in PROBLEMS.values():
        assert problem.code.replace("_", "").isalpha()
        assert problem.code == problem.code.lower()
        assert 400 <= problem.status < 600


async def test_migrations_go_up_down_and_up_and_leave_no_drift(database: ServiceDatabase) -> None:
    await assert_migrations_are_sound("auth_gateway", database, Table.metadata)


def test_the_service_describes_itself() -> None:
    facts = describe("auth-gateway", Settings, create_app)
    assert facts["publishes"] == [
        "auth.account.registered.v1",
        "auth.session.revoked.v1",
        "auth.role.changed.v1",
        "auth.bot.created.v1",
        "auth.account.suspended.v1",
        "auth.account.restored.v1",
    ]
    ids = [
        operation["operationId"]
        for item in facts["openapi"]["paths"].values()
        for operation in item.values()
        if isinstance(operation, dict)
    ]
    assert {"SignUp", "LogIn", "RefreshSession", "ConnectRealtime", "Bootstrap"} <= set(ids)
    assert len(ids) == len(set(ids))
    msgspec.json.encode(facts)


def rotate(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "auth_gateway", "rotate-keys"]
    env = {**os.environ, "AUTH_KEYSET_DIR": str(folder)}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def test_the_command_turns_the_rings_by_one_step(tmp_path: Path) -> None:
    before = load_keys(tmp_path, may_make=True)
    done = rotate(tmp_path)
    after = load_keys(tmp_path, may_make=False)
    assert done.returncode == 0, done.stderr
    assert after.access.current == before.access.next
    assert after.access.current.kid in done.stdout
    assert "PRIVATE" not in done.stdout


def test_the_command_makes_no_keys_where_there_are_none(tmp_path: Path) -> None:
    done = rotate(tmp_path)
    assert done.returncode == 1
    assert "AUTH_KEYSET_DIR" in done.stderr
