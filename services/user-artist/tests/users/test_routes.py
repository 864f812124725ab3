"""Profiles over HTTP."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from seda_contracts.events.user import UserProfileCreated, UserProfileUpdated, UserState
from seda_runtime.ids import uuid7

Make = Callable[..., Any]


async def test_a_profile_is_pending_until_the_registration_arrives(calling: Make) -> None:
    user_id = uuid7()
    answer = await calling(user_id=user_id)("GET", "/users/me")
    assert answer.status_code == 200
    assert answer.json() == {"profile": "pending", "id": str(user_id)}


async def test_editing_a_pending_profile_asks_to_come_back(calling: Make) -> None:
    answer = await calling(user_id=uuid7())("PATCH", "/users/me", json={"bio": "early"})
    assert answer.status_code == 409
    assert answer.json()["code"] == "profile_pending"
    assert answer.headers["retry-after"] == "1"


async def test_a_new_profile_is_shown_to_its_owner_and_to_anyone(
    calling: Make, register: Make
) -> None:
    user_id = await register("Ada Lovelace")
    mine = (await calling(user_id=user_id)("GET", "/users/me")).json()
    assert (mine["profile"], mine["handle"], mine["version"]) == ("ready", "ada-lovelace", 1)
    public = await calling()("GET", f"/users/{user_id}")
    assert public.json() == {
        "id": str(user_id),
        "handle": "ada-lovelace",
        "display_name": "Ada Lovelace",
        "bio": None,
        "avatar_url": None,
    }


async def test_an_edit_raises_the_version_and_is_told(
    calling: Make, register: Make, published: Make
) -> None:
    user_id = await register("Ada")
    change = {
        "display_name": " Ada  L. ",
        "handle": "Countess",
        "bio": "first\nprogram",
        "avatar_url": "https://img.example/ada.png#x",
    }
    answer = await calling(user_id=user_id)("PATCH", "/users/me", json=change)
    assert answer.status_code == 200
    body = answer.json()
    assert (body["display_name"], body["handle"]) == ("Ada L.", "countess")
    assert body["avatar_url"] == "https://img.example/ada.png"
    assert body["version"] == 2
    created, first_state, updated, state = await published()
    assert isinstance(created, UserProfileCreated)
    assert isinstance(first_state, UserState)
    assert isinstance(updated, UserProfileUpdated)
    assert updated.changed == ["display_name", "handle", "bio", "avatar_url"]
    assert state == UserState(
        user_id=user_id,
        version=2,
        handle="countess",
        display_name="Ada L.",
        avatar_url="https://img.example/ada.png",
    )


async def test_an_edit_that_changes_nothing_is_no_new_version(
    calling: Make, register: Make, published: Make
) -> None:
    user_id = await register("Ada")
    answer = await calling(user_id=user_id)("PATCH", "/users/me", json={"display_name": "Ada"})
    assert answer.json()["version"] == 1
    assert len(await published()) == 2


async def test_null_empties_a_field_and_absence_leaves_it(calling: Make, register: Make) -> None:
    me = calling(user_id=await register("Ada"))
    await me("PATCH", "/users/me", json={"bio": "words", "avatar_url": "https://img.example/a"})
    after = (await me("PATCH", "/users/me", json={"avatar_url": None})).json()
    assert (after["bio"], after["avatar_url"]) == ("words", None)


@pytest.mark.parametrize("handle", ["ada-lovelace", "ada_lovelace", "ADA-L0VELACE"])
async def test_a_handle_that_is_or_looks_taken_is_a_conflict(
    calling: Make, register: Make, handle: str
) -> None:
    await register("Ada Lovelace")
    other = await register("Grace")
    answer = await calling(user_id=other)("PATCH", "/users/me", json={"handle": handle})
    assert answer.status_code == 409
    assert answer.json()["code"] == "handle_taken"


async def test_one_of_many_at_once_gets_the_handle(calling: Make, register: Make) -> None:
    people = [await register(f"Person {letter}") for letter in "abcdef"]
    answers = await asyncio.gather(
        *(calling(user_id=p)("PATCH", "/users/me", json={"handle": "prize"}) for p in people)
    )
    assert sorted(a.status_code for a in answers) == [200, 409, 409, 409, 409, 409]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"display_name": ""}, "validation_failed"),
        ({"display_name": "x" * 51}, "validation_failed"),
        ({"display_name": None}, "validation_failed"),
        ({"display_name": "\u202eevil"}, "name_refused"),
        ({"display_name": "\u3164"}, "name_refused"),
        ({"bio": "x" * 501}, "validation_failed"),
        ({"bio": "nul\u0000"}, "bio_refused"),
        ({"handle": "ab"}, "validation_failed"),
        ({"handle": "admin"}, "handle_refused"),
        ({"handle": "\u0430dmin"}, "handle_refused"),
        ({"avatar_url": "http://img.example/a.png"}, "address_refused"),
        ({"avatar_url": "https://127.0.0.1/a.png"}, "address_refused"),
        ({"avatar_url": "javascript:alert(1)"}, "address_refused"),
    ],
)
async def test_a_field_that_breaks_its_rule_changes_nothing(
    calling: Make, register: Make, change: dict[str, Any], code: str
) -> None:
    me = calling(user_id=await register("Ada"))
    answer = await me("PATCH", "/users/me", json=change)
    assert answer.status_code == 400
    assert answer.json()["code"] == code
    assert (await me("GET", "/users/me")).json()["version"] == 1


@pytest.mark.parametrize(
    "field",
    ["id", "role", "version", "created_at", "email", "handle_skeleton", "verified", "isMod"],
)
async def test_attack_051_fields_that_are_not_a_persons_to_set_are_refused(
    calling: Make, register: Make, field: str
) -> None:
    me = calling(user_id=await register("Ada"))
    answer = await me("PATCH", "/users/me", json={"bio": "new", field: "1"})
    assert answer.status_code == 400
    assert (await me("GET", "/users/me")).json()["bio"] is None


@pytest.mark.parametrize("user_id", ["1", "me2", "00000000-0000-0000-0000-00000000000g", "%27--"])
async def test_an_id_of_the_wrong_form_is_nothing_here(calling: Make, user_id: str) -> None:
    assert (await calling()("GET", f"/users/{user_id}")).status_code in {401, 404}


async def test_an_unknown_person_is_not_found(calling: Make) -> None:
    answer = await calling()("GET", f"/users/{uuid4()}")
    assert answer.status_code == 404
    assert answer.json()["code"] == "user_not_found"


async def test_nobody_has_no_profile_of_their_own(calling: Make) -> None:
    assert (await calling()("GET", "/users/me")).status_code == 401
    assert (await calling()("PATCH", "/users/me", json={"bio": "x"})).status_code == 401


async def test_attack_056_there_is_no_way_to_edit_anothers_profile(
    calling: Make, register: Make
) -> None:
    victim = await register("Ada")
    attacker = calling(user_id=await register("Mallory"))
    answer = await attacker("PATCH", f"/users/{victim}", json={"bio": "mine now"})
    assert answer.status_code == 405
    assert (await calling()("GET", f"/users/{victim}")).json()["bio"] is None


async def test_attack_065_no_payload_and_no_event_holds_an_email_address(
    calling: Make, register: Make, published: Make
) -> None:
    user_id: UUID = await register("Ada")
    mine = await calling(user_id=user_id)("GET", "/users/me")
    public = await calling()("GET", f"/users/{user_id}")
    events = [event.encode().decode() for event in await published()]
    for text in (mine.text, public.text, *events):
        assert "mail" not in text
        assert "auth_id" not in text
