"""Each consumer on a real broker, every event delivered twice: one effect."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from seda_contracts.events.artist import ArtistState, ArtistVerificationApplied
from seda_contracts.events.auth import AccountRegistered, BotCreated
from seda_contracts.events.user import UserProfileCreated, UserState
from seda_contracts.events.verification import VerificationApproved
from seda_runtime.ids import uuid7
from seda_testkit.clock import NOON

Make = Callable[..., Any]


def registration(user_id: UUID, display_name: str | None = "Ada") -> AccountRegistered:
    return AccountRegistered(
        user_id=user_id, method="password", registered_at=NOON, display_name=display_name
    )


def approval(artist_id: UUID, user_id: UUID) -> VerificationApproved:
    return VerificationApproved(
        request_id=uuid7(),
        artist_id=artist_id,
        user_id=user_id,
        reason_code="found",
        decided_at=NOON,
    )


async def test_a_registration_delivered_twice_makes_one_profile(
    calling: Make, deliver: Any, published: Make
) -> None:
    account = registration(uuid7())
    await deliver(account, times=2)
    await deliver.settled("user-artist.accounts")
    events = await published()
    assert [type(event) for event in events] == [UserProfileCreated, UserState]
    mine = (await calling(user_id=account.user_id)("GET", "/users/me")).json()
    assert (mine["profile"], mine["handle"], mine["display_name"]) == ("ready", "ada", "Ada")


async def test_a_bot_gets_one_profile_with_the_name_its_owner_gave_it(
    calling: Make, deliver: Any, published: Make
) -> None:
    bot = BotCreated(user_id=uuid7(), owner_id=uuid7(), created_at=NOON, display_name="Now Playing")
    await deliver(bot, times=2)
    await deliver.settled("user-artist.accounts")
    assert [type(event) for event in await published()] == [UserProfileCreated, UserState]
    mine = (await calling(user_id=bot.user_id)("GET", "/users/me")).json()
    assert (mine["handle"], mine["display_name"]) == ("now-playing", "Now Playing")


async def test_a_second_registration_of_one_person_leaves_the_profile_alone(
    calling: Make, deliver: Any, published: Make
) -> None:
    user_id = uuid7()
    await deliver(registration(user_id))
    await deliver.settled("user-artist.accounts")
    await calling(user_id=user_id)("PATCH", "/users/me", json={"display_name": "Countess"})
    await deliver(registration(user_id))
    await deliver.settled("user-artist.accounts")
    mine = (await calling(user_id=user_id)("GET", "/users/me")).json()
    assert (mine["display_name"], mine["version"]) == ("Countess", 2)
    assert len(await published()) == 4


async def test_ten_people_of_one_name_get_ten_handles(calling: Make, deliver: Any) -> None:
    people = [uuid7() for _ in range(10)]
    for user_id in people:
        await deliver(registration(user_id, "Ada Lovelace"))
    await deliver.settled("user-artist.accounts")
    answers = [(await calling()("GET", f"/users/{user_id}")).json() for user_id in people]
    handles = {answer["handle"] for answer in answers}
    assert len(handles) == len(people)
    assert all(handle.startswith("ada-lovelace") for handle in handles)
    assert {answer["display_name"] for answer in answers} == {"Ada Lovelace"}


async def test_a_name_with_hidden_characters_is_mended_at_registration(
    calling: Make, deliver: Any
) -> None:
    account = registration(uuid7(), "\u202eAda\u200b \u0000")
    await deliver(account)
    await deliver.settled("user-artist.accounts")
    profile = (await calling()("GET", f"/users/{account.user_id}")).json()
    assert profile["display_name"] == "Ada"
    assert profile["handle"].startswith("listener-")


async def test_approvals_in_any_number_give_one_badge(
    calling: Make, register: Make, deliver: Any, published: Make
) -> None:
    user_id = await register("Ada")
    me = calling(user_id=user_id)
    artist = (await me("POST", "/artists", json={"artist_name": "Nova"})).json()
    approved = approval(UUID(artist["id"]), user_id)
    await deliver(approved, times=2)
    await deliver(approval(UUID(artist["id"]), user_id))
    await deliver.settled("user-artist.badges")
    badge = (await me("GET", "/artists/me")).json()
    assert (badge["verified"], badge["version"]) == (True, 2)
    assert badge["verified_at"] == "2026-11-20T12:00:00Z"
    applied, state = (await published())[4:]
    assert isinstance(applied, ArtistVerificationApplied)
    assert (applied.verified, applied.version) == (True, 2)
    assert isinstance(state, ArtistState)
    assert (state.verified, state.version) == (True, 2)


async def test_an_approval_meant_for_another_person_is_a_dead_letter(
    calling: Make, register: Make, deliver: Any
) -> None:
    me = calling(user_id=await register("Ada"))
    artist = (await me("POST", "/artists", json={"artist_name": "Nova"})).json()
    before = await deliver.dead_letters("user-artist.badges")
    await deliver(approval(UUID(artist["id"]), uuid7()))
    await deliver(approval(uuid7(), uuid7()))
    await deliver.settled("user-artist.badges")
    assert (await me("GET", "/artists/me")).json()["verified"] is False
    assert await deliver.dead_letters("user-artist.badges") == before + 2


async def test_the_name_of_a_verified_artist_stays(
    calling: Make, register: Make, deliver: Any
) -> None:
    user_id = await register("Ada")
    me = calling(user_id=user_id)
    artist = (await me("POST", "/artists", json={"artist_name": "Nova"})).json()
    path = f"/artists/{artist['id']}"
    await deliver(approval(UUID(artist["id"]), user_id))
    await deliver.settled("user-artist.badges")
    refused = await me("PATCH", path, json={"artist_name": "Somebody Famous"})
    assert (refused.status_code, refused.json()["code"]) == (409, "verified_name_fixed")
    allowed = await me("PATCH", path, json={"artist_name": "Nova", "bio": "verified at last"})
    assert (allowed.status_code, allowed.json()["verified"]) == (200, True)
