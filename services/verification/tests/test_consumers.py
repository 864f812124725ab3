"""Each consumer on a real broker, every event delivered twice: one effect."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from litestar import Litestar
from seda_contracts.events.artist import ArtistProfileCreated, ArtistProfileUpdated
from seda_contracts.events.crawl import ClaimCodeMark, CrawlJobFailed, CrawlPageFetched
from seda_contracts.events.verification import (
    VerificationApproved,
    VerificationCheckFailed,
    VerificationCheckPassed,
    VerificationExpired,
    VerificationRejected,
)
from seda_db import Database
from seda_runtime.ids import uuid7
from seda_testkit.app import running
from seda_testkit.clock import NOON
from verification.app import create_app
from verification.settings import Settings
from verification.tables import ArtistRow, ClaimRow

Make = Callable[..., Any]
PAGE = "https://nova.example/"


def page(job_id: UUID, code: str, place: Any = "visible_text", **facts: Any) -> CrawlPageFetched:
    """What the crawler says of PAGE; `facts` replace its fields."""
    told: dict[str, Any] = {
        "job_id": job_id,
        "url": PAGE,
        "final_url": PAGE,
        "redirect_urls": [],
        "outcome": "ok",
        "status_code": 200,
        "content_sha256": "ab" * 32,
        "marks": [ClaimCodeMark(code=code, place=place)],
        "fetched_at": NOON,
    }
    return CrawlPageFetched(**(told | facts))


@pytest.fixture
def status_of(db: Database) -> Make:
    async def read(claim: ClaimRow) -> str:
        async with db.read() as tx:
            row = await tx.get(ClaimRow, claim.id)
        assert row is not None
        return row.status

    return read


@pytest.fixture
def answered(client: Any, deliver: Any) -> Make:
    """`await answered(event)` delivers the crawler's answer twice and waits for its effect."""
    del client  # the service is running

    async def send(event: CrawlPageFetched | CrawlJobFailed) -> None:
        await deliver(event, times=2)
        await deliver.settled("verification.pages")

    return send


async def test_the_newest_word_on_an_artist_counts_in_any_order(
    client: Any, deliver: Any, db: Database
) -> None:
    artist_id, user_id = uuid7(), uuid7()
    newer = ArtistProfileUpdated(
        artist_id=artist_id,
        user_id=user_id,
        version=2,
        changed=["website_url"],
        links=[PAGE],
        updated_at=NOON,
    )
    older = ArtistProfileCreated(
        artist_id=artist_id, user_id=user_id, version=1, links=[], created_at=NOON
    )
    for event in (newer, older):
        await deliver(event, times=2)
        await deliver.settled("verification.artists")
    async with db.read() as tx:
        row = await tx.get(ArtistRow, artist_id)
    assert row is not None
    assert (row.user_id, row.version, row.links) == (user_id, 2, [PAGE])


async def test_the_code_on_a_listed_page_gives_the_badge_once(
    submit: Make, begin_check: Make, answered: Make, status_of: Make, published: Make
) -> None:
    claim, code = await submit(uuid7())
    checking = await begin_check(claim)
    await answered(page(checking.job_id, code))
    assert await status_of(claim) == "approved"
    passed, approved = (await published())[2:]
    assert isinstance(passed, VerificationCheckPassed)
    assert passed.automatic
    assert isinstance(approved, VerificationApproved)
    assert (approved.user_id, approved.reviewer_id) == (claim.user_id, None)
    assert approved.reason_code == "found"


async def test_the_code_on_another_page_waits_for_a_person(
    submit: Make, begin_check: Make, answered: Make, status_of: Make, published: Make
) -> None:
    other = "https://nova.example/news"
    claim, code = await submit(uuid7(), other)
    checking = await begin_check(claim)
    await answered(page(checking.job_id, code, url=other, final_url=other))
    assert await status_of(claim) == "found"
    (passed,) = (await published())[2:]
    assert not passed.automatic


async def test_a_reviewer_sees_what_the_last_check_saw(
    submit: Make, begin_check: Make, answered: Make, calling: Make
) -> None:
    other = "https://nova.example/news"
    claim, code = await submit(uuid7(), other)
    await answered(
        page((await begin_check(claim)).job_id, code, marks=[], url=other, final_url=other)
    )
    await answered(
        page((await begin_check(claim)).job_id, code, "meta_tag", url=other, final_url=other)
    )
    admin = calling(user_id=uuid7(), role="ADMIN")
    (item,) = (await admin("GET", "/admin/verification/requests")).json()["items"]
    assert item["target_listed"] is False
    assert item["evidence"] == {
        "checked_at": "2026-11-20T12:00:00Z",
        "reason_code": "found",
        "place": "meta_tag",
        "final_url": other,
        "status_code": 200,
        "content_sha256": "ab" * 32,
    }


async def test_a_page_that_proved_another_artist_waits_for_a_person(
    submit: Make, begin_check: Make, answered: Make, status_of: Make
) -> None:
    first, code = await submit(uuid7())
    await answered(page((await begin_check(first)).job_id, code))
    second, code = await submit(uuid7())
    await answered(page((await begin_check(second)).job_id, code))
    assert (await status_of(first), await status_of(second)) == ("approved", "found")


async def test_attack_064_the_code_of_another_claim_proves_nothing(
    submit: Make, begin_check: Make, answered: Make, status_of: Make
) -> None:
    _, stolen = await submit(uuid7())
    claim, _ = await submit(uuid7())
    await answered(page((await begin_check(claim)).job_id, stolen))
    assert await status_of(claim) == "issued"


@pytest.mark.parametrize(
    ("facts", "reason", "conclusive"),
    [
        ({"place": "hidden"}, "wrong_place", True),
        ({"marks": []}, "not_found", True),
        ({"status_code": 404}, "not_found", True),
        ({"final_url": "https://evil.example/"}, "redirected_off_origin", True),
        ({"outcome": "blocked"}, "blocked", False),
        ({"outcome": "unreachable"}, "unreachable", False),
    ],
)
async def test_a_page_without_proof_gives_the_claim_back_with_a_reason(
    submit: Make,
    begin_check: Make,
    answered: Make,
    status_of: Make,
    published: Make,
    facts: dict[str, Any],
    reason: str,
    conclusive: bool,
) -> None:
    claim, code = await submit(uuid7())
    checking = await begin_check(claim)
    await answered(page(checking.job_id, code, **facts))
    assert await status_of(claim) == "issued"
    (failed,) = (await published())[2:]
    assert isinstance(failed, VerificationCheckFailed)
    assert (failed.reason_code, failed.conclusive) == (reason, conclusive)


async def test_a_code_echoed_from_the_address_is_reflected(
    submit: Make, begin_check: Make, answered: Make, published: Make
) -> None:
    claim, code = await submit(uuid7())
    checking = await begin_check(claim)
    await answered(page(checking.job_id, code, final_url=f"{PAGE}?q={code}"))
    assert (await published())[-1].reason_code == "reflected"


@pytest.mark.parametrize(
    ("outcome", "reason"), [("blocked", "blocked"), ("unreachable", "unreachable")]
)
async def test_a_failed_job_gives_the_claim_back_and_costs_nothing(
    submit: Make,
    begin_check: Make,
    answered: Make,
    status_of: Make,
    published: Make,
    outcome: Any,
    reason: str,
) -> None:
    claim, _ = await submit(uuid7())
    checking = await begin_check(claim)
    await answered(
        CrawlJobFailed(
            job_id=checking.job_id, url=PAGE, outcome=outcome, attempts=4, failed_at=NOON
        )
    )
    assert await status_of(claim) == "issued"
    (failed,) = (await published())[2:]
    assert (failed.reason_code, failed.conclusive) == (reason, False)


async def test_answers_to_old_or_unknown_jobs_change_nothing(
    submit: Make, begin_check: Make, answered: Make, status_of: Make, published: Make
) -> None:
    claim, code = await submit(uuid7())
    old = await begin_check(claim)
    await answered(page(old.job_id, code, marks=[]))
    await begin_check(claim)
    before = len(await published())
    await answered(page(old.job_id, code))
    await answered(page(uuid7(), code))
    assert await status_of(claim) == "checking"
    assert len(await published()) == before


async def test_a_proof_that_comes_after_expiry_is_too_late(
    submit: Make,
    begin_check: Make,
    answered: Make,
    status_of: Make,
    published: Make,
    clock: Any,
) -> None:
    claim, code = await submit(uuid7())
    checking = await begin_check(claim)
    clock.pass_by(timedelta(days=7))
    await answered(page(checking.job_id, code))
    assert await status_of(claim) == "expired"
    assert isinstance((await published())[-1], VerificationExpired)


async def test_two_proofs_of_one_artist_end_in_one_badge_and_one_conflict(
    submit: Make, listed: Make, begin_check: Make, answered: Make, published: Make
) -> None:
    user_id = uuid7()
    artist_id = await listed(user_id)
    pairs = [await submit(user_id, artist_id=artist_id) for _ in range(2)]
    jobs = [((await begin_check(claim)).job_id, code) for claim, code in pairs]
    for job_id, code in jobs:
        await answered(page(job_id, code))
    events = await published()
    assert sum(isinstance(event, VerificationApproved) for event in events) == 1
    (rejected,) = (event for event in events if isinstance(event, VerificationRejected))
    assert rejected.reason_code == "conflict"


async def test_without_automatic_approval_every_proof_waits_for_a_person(
    settings: Settings,
    clock: Any,
    submit: Make,
    begin_check: Make,
    deliver: Any,
    status_of: Make,
) -> None:
    careful = msgspec.structs.replace(settings, verification_automatic_approval=False)
    app: Litestar = create_app(careful, now=clock)
    async with running(app):
        claim, code = await submit(uuid7())
        checking = await begin_check(claim)
        await deliver(page(checking.job_id, code, "meta_tag"))
        await deliver.settled("verification.pages")
        assert await status_of(claim) == "found"
