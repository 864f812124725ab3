"""Verification over HTTP: the owner's requests and the review queue."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from seda_contracts.events.verification import VerificationApproved, VerificationRejected
from seda_runtime.ids import uuid7

Make = Callable[..., Any]
PAGE = "https://nova.example/"
REQUESTS = "/verification/requests"
QUEUE = "/admin/verification/requests"


@pytest.fixture
def ask(calling: Make, listed: Make) -> Make:
    """`await ask(user_id)` submits a request over HTTP and gives the answer's body."""

    async def make(user_id: UUID, artist_id: UUID | None = None) -> dict[str, Any]:
        body = {"artist_id": str(artist_id or await listed(user_id)), "target_url": PAGE}
        answer = await calling(user_id=user_id)("POST", REQUESTS, json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    return make


def admin(calling: Make, user_id: UUID | None = None) -> Any:
    return calling(user_id=user_id or uuid7(), role="ADMIN")


async def test_the_code_is_shown_once(calling: Make, ask: Make) -> None:
    user_id = uuid7()
    issued = await ask(user_id)
    assert issued["status"] == "issued"
    assert issued["code"].startswith("seda-")
    assert issued["expires_at"] == "2026-11-27T12:00:00Z"
    me = calling(user_id=user_id)
    again = (await me("GET", f"{REQUESTS}/{issued['id']}")).json()
    assert again == {key: value for key, value in issued.items() if key != "code"}
    assert issued["code"] not in (await me("GET", REQUESTS)).text


async def test_attack_064_the_fourth_request_of_a_day_says_when_to_come_back(
    calling: Make, ask: Make, listed: Make
) -> None:
    user_id = uuid7()
    artist_id = await listed(user_id)
    body = {"artist_id": str(artist_id), "target_url": PAGE}
    me = calling(user_id=user_id)
    answers = await asyncio.gather(*(me("POST", REQUESTS, json=body) for _ in range(10)))
    assert sorted(a.status_code for a in answers) == [201] * 3 + [429] * 7
    refused = next(a for a in answers if a.status_code == 429)
    assert refused.json()["code"] == "verification_limit"
    assert 0 < int(refused.headers["retry-after"]) <= 86_401


async def test_a_check_is_taken_and_a_second_one_waits(calling: Make, ask: Make) -> None:
    user_id = uuid7()
    path = f"{REQUESTS}/{(await ask(user_id))['id']}/check"
    me = calling(user_id=user_id)
    taken = await me("POST", path)
    assert (taken.status_code, taken.json()["status"]) == (202, "checking")
    again = await me("POST", path)
    assert (again.status_code, again.json()["code"]) == (409, "request_not_open")


async def test_attack_056_requests_of_others_do_not_exist(calling: Make, ask: Make) -> None:
    request = await ask(uuid7())
    stranger = calling(user_id=uuid7())
    path = f"{REQUESTS}/{request['id']}"
    for method, where in (("GET", path), ("POST", f"{path}/check"), ("DELETE", path)):
        answer = await stranger(method, where)
        assert (answer.status_code, answer.json()["code"]) == (404, "request_not_found")
    assert (await stranger("GET", REQUESTS)).json() == {"items": [], "next_cursor": None}


async def test_attack_056_the_artist_of_another_person_cannot_be_claimed(
    calling: Make, listed: Make
) -> None:
    theirs = await listed(uuid7())
    body = {"artist_id": str(theirs), "target_url": PAGE}
    answer = await calling(user_id=uuid7())("POST", REQUESTS, json=body)
    assert (answer.status_code, answer.json()["code"]) == (404, "artist_not_found")


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_nobody_is_asked_to_sign_in(calling: Make, method: str) -> None:
    assert (await calling()(method, REQUESTS)).status_code == 401


async def test_attack_052_a_user_is_refused_on_every_admin_route(calling: Make, ask: Make) -> None:
    request = await ask(uuid7())
    user = calling(user_id=uuid7())
    decision = {"decision": "approve", "reason": "because"}
    assert (await user("GET", QUEUE)).status_code == 403
    answer = await user("POST", f"{QUEUE}/{request['id']}/decision", json=decision)
    assert answer.status_code == 403


async def test_attack_064_an_admin_cannot_approve_their_own_request(
    calling: Make, ask: Make
) -> None:
    user_id = uuid7()
    request = await ask(user_id)
    decision = {"decision": "approve", "reason": "it is me"}
    path = f"{QUEUE}/{request['id']}/decision"
    answer = await admin(calling, user_id)("POST", path, json=decision)
    assert (answer.status_code, answer.json()["code"]) == (403, "self_decision")


@pytest.mark.parametrize(
    ("decision", "status", "event"),
    [("approve", "approved", VerificationApproved), ("reject", "denied", VerificationRejected)],
)
async def test_a_decision_is_told_with_its_reviewer(
    calling: Make, ask: Make, published: Make, decision: str, status: str, event: type
) -> None:
    request = await ask(uuid7())
    reviewer = uuid7()
    path = f"{QUEUE}/{request['id']}/decision"
    body = {"decision": decision, "reason": "  spoke with the label "}
    answer = await admin(calling, reviewer)("POST", path, json=body)
    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["decided_by"]) == (status, str(reviewer))
    assert answer.json()["decision_reason"] == "spoke with the label"
    last = (await published())[-1]
    assert isinstance(last, event)
    assert (last.reviewer_id, last.reason_code) == (reviewer, "reviewed")
    again = await admin(calling)("POST", path, json=body)
    assert (again.status_code, again.json()["code"]) == (409, "request_not_open")


async def test_a_request_under_check_cannot_be_decided(calling: Make, ask: Make) -> None:
    user_id = uuid7()
    request = await ask(user_id)
    await calling(user_id=user_id)("POST", f"{REQUESTS}/{request['id']}/check")
    body = {"decision": "approve", "reason": "in a hurry"}
    answer = await admin(calling)("POST", f"{QUEUE}/{request['id']}/decision", json=body)
    assert answer.status_code == 409


async def test_the_queue_serves_who_waited_longest_first(calling: Make, ask: Make) -> None:
    asked = [(await ask(uuid7()))["id"] for _ in range(5)]
    reviewer = admin(calling)
    seen: list[str] = []
    cursor: str | None = None
    while True:
        params = {"status": "issued", "limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await reviewer("GET", QUEUE, params=params)).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == asked
    assert (await reviewer("GET", QUEUE)).json()["items"] == []


async def test_a_persons_list_has_the_newest_first(calling: Make, ask: Make, listed: Make) -> None:
    user_id = uuid7()
    artist_id = await listed(user_id)
    asked = [(await ask(user_id, artist_id))["id"] for _ in range(3)]
    me = calling(user_id=user_id)
    first = (await me("GET", REQUESTS, params={"limit": 2})).json()
    rest = (await me("GET", REQUESTS, params={"cursor": first["next_cursor"]})).json()
    assert [r["id"] for r in first["items"] + rest["items"]] == asked[::-1]


async def test_a_request_that_ran_out_shows_it_before_any_sweep(
    calling: Make, ask: Make, clock: Any
) -> None:
    user_id = uuid7()
    request = await ask(user_id)
    clock.pass_by(timedelta(days=7))
    me = calling(user_id=user_id)
    shown = (await me("GET", f"{REQUESTS}/{request['id']}")).json()
    assert shown["status"] == "expired"
    answer = await me("POST", f"{REQUESTS}/{request['id']}/check")
    assert (answer.status_code, answer.json()["code"]) == (409, "request_expired")


async def test_a_cancelled_request_is_over(calling: Make, ask: Make) -> None:
    user_id = uuid7()
    path = f"{REQUESTS}/{(await ask(user_id))['id']}"
    me = calling(user_id=user_id)
    assert (await me("DELETE", path)).status_code == 204
    assert (await me("GET", path)).json()["status"] == "cancelled"
    assert (await me("DELETE", path)).status_code == 409


@pytest.mark.parametrize(
    "change",
    [
        {"target_url": ""},
        {"target_url": "https://nova.example/" + "x" * 500},
        {"target_url": "http://127.0.0.1/"},
        {"target_url": "https://soundcloud.com/search"},
        {"target_url": None},
        {"artist_id": "not-an-id"},
        {"status": "approved"},
        {"code": "seda-2222-2222"},
        {"user_id": str(uuid4())},
        {"expires_at": "2036-01-01T00:00:00Z"},
    ],
)
async def test_attack_051_a_request_holds_an_artist_and_a_page_and_nothing_else(
    calling: Make, listed: Make, change: dict[str, Any]
) -> None:
    user_id = uuid7()
    body = {"artist_id": str(await listed(user_id)), "target_url": PAGE}
    me = calling(user_id=user_id)
    assert (await me("POST", REQUESTS, json=body | change)).status_code == 400
    assert (await me("GET", REQUESTS)).json()["items"] == []


@pytest.mark.parametrize(
    "body",
    [
        {"decision": "approve", "reason": "no"},
        {"decision": "approve", "reason": "x" * 501},
        {"decision": "approve", "reason": "     "},
        {"decision": "approve", "reason": "a\u0000bc"},
        {"decision": "maybe", "reason": "unsure"},
        {"decision": "approve"},
        {"decision": "approve", "reason": "fine", "reviewer_id": str(uuid4())},
    ],
)
async def test_a_decision_without_a_sound_reason_is_refused(
    calling: Make, ask: Make, body: dict[str, Any]
) -> None:
    request = await ask(uuid7())
    answer = await admin(calling)("POST", f"{QUEUE}/{request['id']}/decision", json=body)
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"{REQUESTS}/1", 404),
        (f"{REQUESTS}?limit=0", 400),
        (f"{REQUESTS}?limit=101", 400),
        (f"{REQUESTS}?cursor=nonsense", 400),
        (f"{QUEUE}?status=everything", 400),
        (f"{QUEUE}?cursor=%27%20OR%201=1", 400),
        (f"{QUEUE}/{UUID(int=0)}", 404),
    ],
)
async def test_a_parameter_of_the_wrong_form_is_refused(
    calling: Make, path: str, status: int
) -> None:
    where, _, query = path.partition("?")
    answer = await admin(calling)("GET", where, params=query or None)
    assert answer.status_code == status


async def test_a_decision_on_an_unknown_request_finds_nothing(calling: Make) -> None:
    body = {"decision": "approve", "reason": "looks fine"}
    answer = await admin(calling)("POST", f"{QUEUE}/{uuid4()}/decision", json=body)
    assert (answer.status_code, answer.json()["code"]) == (404, "request_not_found")


async def test_attack_065_no_payload_and_no_event_holds_an_email_or_a_code(
    calling: Make, ask: Make, published: Make
) -> None:
    request = await ask(uuid7())
    queue = await admin(calling)("GET", QUEUE, params={"status": "issued"})
    events = [event.encode().decode() for event in await published()]
    for text in (queue.text, *events):
        assert request["code"] not in text
        assert "mail" not in text
