"""The service as a whole: its schema, its promises, its start."""

import re
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import asyncpg
import pytest
from chat_realtime import consumers
from chat_realtime.cards import domain as cards_domain
from chat_realtime.consumers import subscriptions
from chat_realtime.invites import domain as invites_domain
from chat_realtime.limits import domain as limits_domain
from chat_realtime.live import domain as live_domain
from chat_realtime.live.failures import failure_of
from chat_realtime.messages import domain as messages_domain
from chat_realtime.moderation import domain as moderation_domain
from chat_realtime.people import domain as people_domain
from chat_realtime.pins import domain as pins_domain
from chat_realtime.problems import PROBLEMS
from chat_realtime.reports import domain as reports_domain
from chat_realtime.rooms import domain as rooms_domain
from chat_realtime.search import domain as search_domain
from chat_realtime.settings import Settings
from chat_realtime.tables import Table
from seda_contracts.realtime_codes import ERRORS
from seda_contracts.registry import consumed_by
from seda_db import DatabaseUnavailable
from seda_messaging.lifespan import group_by_consumer
from seda_runtime.settings import SettingsError, load
from seda_testkit.problems import errors_of
from seda_testkit.schema import assert_migrations_are_sound

if TYPE_CHECKING:
    from conftest import Chat
    from seda_testkit.databases import DatabaseFactory, ServiceDatabase

DOMAINS = (
    cards_domain,
    invites_domain,
    limits_domain,
    live_domain,
    messages_domain,
    moderation_domain,
    people_domain,
    pins_domain,
    reports_domain,
    rooms_domain,
    search_domain,
)


def domain_errors() -> list[type[Exception]]:
    return sorted(errors_of(*DOMAINS), key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", domain_errors(), ids=lambda kind: kind.__name__)
def test_every_domain_error_has_its_problem(kind: type[Exception]) -> None:
    assert kind in PROBLEMS


@pytest.mark.parametrize("kind", list(PROBLEMS), ids=lambda kind: kind.__name__)
def test_every_problem_has_a_code_the_socket_knows(kind: type[Exception]) -> None:
    waits = (rooms_domain.Muted, rooms_domain.SlowMode, limits_domain.RateLimited)
    error = kind(1) if kind in waits else kind()
    assert failure_of(error).code in set(ERRORS) - {"internal"}


def test_an_error_nobody_mapped_tells_nothing_of_itself() -> None:
    failure = failure_of(KeyError("a secret"))
    assert (failure.code, failure.retry) == ("internal", "later")
    assert "secret" not in failure.msg
    assert failure_of(DatabaseUnavailable()).retry == "later"


def test_everything_the_registry_promises_is_consumed() -> None:
    made: Any = None
    handled = {each.contract for each in subscriptions(made, made)}
    assert handled == {entry.contract for entry in consumed_by("chat-realtime")}
    assert set(group_by_consumer(subscriptions(made, made))) == {
        "chat-realtime.cards",
        "chat-realtime.people",
        "chat-realtime.sessions",
        "chat-realtime.blocks",
        "chat-realtime.bots",
    }
    assert consumers.__doc__


async def test_migrations_go_up_down_and_up_and_leave_no_drift(
    database_factory: "DatabaseFactory",
) -> None:
    database = database_factory.clone("chat_realtime", "chat")
    try:
        await assert_migrations_are_sound("chat_realtime", database, Table.metadata)
    finally:
        database_factory.drop(database)


@pytest.mark.parametrize(
    "name",
    [
        "ix_room_is_private",
        "ix_message_room_id_created_at",
        "ix_message_author_id",
        "ix_message_parent_id",
        "ix_reaction_message_id",
        "ix_membership_room_id",
        "ix_membership_user_id",
    ],
)
async def test_the_promised_index_is_there(database: "ServiceDatabase", name: str) -> None:
    connection = await asyncpg.connect(database.owner_url)
    try:
        query = "SELECT count(*) FROM pg_indexes WHERE schemaname = 'chat' AND indexname = $1"
        assert await connection.fetchval(query, name) == 1
    finally:
        await connection.close()


async def test_no_room_is_deleted_so_no_message_can_be_of_none(database: "ServiceDatabase") -> None:
    """Messages and the log have no foreign key that would find out (decision 0018)."""
    connection = await asyncpg.connect(database.app_url)
    try:
        await connection.execute(
            "INSERT INTO chat.room (id, name, is_private, created_by, created_at) "
            "VALUES ($1, 'kept', false, $1, now())",
            uuid4(),
        )
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="never deleted"):
            await connection.execute("DELETE FROM chat.room WHERE name = 'kept'")
    finally:
        await connection.close()


async def test_a_transaction_that_fails_numbers_nothing_and_says_nothing(chat: "Chat") -> None:
    ann = chat.person()
    room, other = await ann.room(), await ann.room()
    await ann.post(other, "taken", cid="taken")
    head = (await ann.post(room))["seq"]
    async with ann.socket(room) as anns:
        refusal = await anns.refused("msg.send", room, cid="taken", text="x")
        assert refusal["code"] == "cid_conflict"
        sent = await anns.ask("msg.send", room, cid="free", text="x")
        assert sent["seq"] == head + 1
        await anns.until(op="ev", seq=sent["seq"])
        assert len(anns.events(room)) == 1


async def test_a_direct_call_with_forged_headers_is_refused(chat: "Chat") -> None:
    for headers in (
        {},
        {"X-User-Id": str(uuid4())},
        {"X-Seda-Identity": "forged"},
        {"Authorization": f"Bearer {chat.keys.access_token(uuid4())}"},
        {"X-Seda-Identity": chat.keys.identity("crawler", "GET", "/api/v1/chat/rooms")},
        {"X-Seda-Identity": chat.keys.identity("chat-realtime", "GET", "/api/v1/other")},
    ):
        answer = await chat.http.get("/api/v1/chat/rooms", headers=headers)
        assert answer.status_code == 401, headers


async def test_every_admin_route_refuses_everyone_else(chat: "Chat") -> None:
    ann = chat.person()
    asked = 0
    for route in chat.app.routes:
        if "/admin/" not in route.path:
            continue
        path = re.sub(r"{\w+:uuid}", str(uuid4()), route.path.removeprefix("/api/v1"))
        for method in route.methods - {"OPTIONS", "HEAD"}:
            answer = await ann.ask(method, path, json={} if method == "POST" else None)
            assert answer.status_code == 403, (method, path)
            asked += 1
    assert asked >= 4


async def test_the_service_says_that_it_is_ready(chat: "Chat") -> None:
    answer = await chat.http.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["checks"] == {"database": True, "nats": True}


@pytest.mark.parametrize(
    ("env", "origins"),
    [
        ("test", "*"),
        ("test", "https://*.seda.fm"),
        ("development", "https://seda.fm,null"),
        ("production", "http://app.seda.fm"),
        ("production", ""),
    ],
)
def test_pages_that_must_not_open_a_socket_are_no_setting(env: str, origins: str) -> None:
    """Empty means the default, which is for development."""
    told = {
        "ENV": env,
        "PORT": "0",
        "DATABASE_URL": "postgresql://localhost/x",
        "NATS_URL": "nats://localhost",
        "SOCKET_ORIGINS": origins,
    }
    with pytest.raises(SettingsError, match="SOCKET_ORIGINS"):
        load(Settings, told)
    assert load(Settings, told | {"SOCKET_ORIGINS": "https://app.seda.fm"})
