"""What a newcomer finds after `make run`: people, rooms, and an artist at every stage."""

from typing import Any

from seda_devrunner.people import ADMIN, DEMO_PASSWORD, LISTENERS
from seda_devrunner.seed import ROOMS, seed
from seda_testkit.client import Api


async def seed_once(running: Any) -> bool:
    return await seed(
        running.state,
        gateway_url=running.gateway_url,
        demosites_url=running.demosites_url,
        admin_api_key=running.wiring.backing.secrets.admin_api_key,
    )


async def test_demo_data_is_made_once_and_can_be_made_again_without_doubling(
    running: Any, api: Api
) -> None:
    await seed_once(running)
    assert await seed_once(running) is False
    running.state.seeded.unlink()
    assert await seed_once(running) is True
    nina = await api.log_in(LISTENERS[0].email, DEMO_PASSWORD)
    rooms = (await nina.get("/chat/rooms", mine=True))["items"]
    assert sorted(room["name"] for room in rooms) == sorted(name for name, _ in ROOMS)


async def test_demo_artists_stand_at_every_stage_of_verification(running: Any, api: Api) -> None:
    await seed_once(running)
    statuses = set()
    for person in LISTENERS:
        listener = await api.log_in(person.email, DEMO_PASSWORD)
        claims = (await listener.get("/verification/requests"))["items"]
        statuses |= {claim["status"] for claim in claims} or {"unclaimed"}
    assert statuses == {"unclaimed", "issued", "found", "approved", "denied"}


async def test_the_demo_admin_may_read_the_review_queue(running: Any, api: Api) -> None:
    await seed_once(running)
    admin = await api.log_in(ADMIN.email, DEMO_PASSWORD)
    queue = (await admin.get("/admin/verification/requests", status="found"))["items"]
    assert [claim["target_listed"] for claim in queue] == [False]
