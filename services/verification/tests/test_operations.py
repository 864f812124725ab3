"""Claims on a real database: limits under concurrency, states, history, expiry."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from seda_contracts.events.crawl import CrawlFetch
from seda_contracts.events.verification import VerificationExpired, VerificationSubmitted
from seda_db import Database
from seda_runtime.ids import uuid7
from seda_testkit.databases import ServiceDatabase
from sqlalchemy import select
from verification import operations
from verification.domain import (
    CHECK_WAIT_MAX,
    ArtistAlreadyVerified,
    ArtistNotFound,
    CheckLimitReached,
    ClaimExpired,
    ClaimLimitReached,
    ClaimNotFound,
    ClaimNotOpen,
    Limits,
    PageReport,
    SelfDecision,
    TooManyOpenClaims,
    code_digest,
)
from verification.moves import Claims
from verification.sweep import sweep
from verification.tables import CheckRow, ClaimRow, TransitionRow
from verification.targets import TargetRefused

Make = Callable[..., Any]
PAGE = "https://nova.example/"
DAY = timedelta(hours=24)


@pytest.fixture
def decide(db: Database, claims: Claims) -> Make:
    async def make(claim: ClaimRow, reviewer_id: UUID, decision: str = "approve") -> ClaimRow:
        async with db.begin() as tx:
            return await operations.decide_claim(
                tx,
                claims,
                reviewer_id=reviewer_id,
                claim_id=claim.id,
                decision=decision,  # type: ignore[arg-type]
                reason="seen with own eyes",
            )

    return make


@pytest.fixture
def stored(db: Database) -> Make:
    """`await stored(claim)` reads the claim again."""

    async def read(claim: ClaimRow) -> ClaimRow:
        async with db.read() as tx:
            return (await tx.scalars(select(ClaimRow).where(ClaimRow.id == claim.id))).one()  # type: ignore[arg-type]

    return read


@pytest.fixture
def history(db: Database) -> Make:
    """`await history(claim)` gives its changes, oldest first."""

    async def read(claim: ClaimRow) -> list[TransitionRow]:
        query = select(TransitionRow).order_by(TransitionRow.id)  # type: ignore[arg-type]
        async with db.read() as tx:
            rows = await tx.scalars(query)
            return [row for row in rows if row.claim_id == claim.id]

    return read


def nothing_found(**facts: Any) -> PageReport:
    told: dict[str, Any] = {
        "url": PAGE,
        "final_url": PAGE,
        "redirect_urls": [],
        "outcome": "ok",
        "status_code": 200,
        "marks": [],
    }
    return PageReport(**(told | facts))


async def test_a_claim_is_bound_to_person_artist_and_page(
    submit: Make, published: Make, history: Make
) -> None:
    user_id = uuid7()
    claim, code = await submit(user_id, "https://NOVA.example#bio")
    assert (claim.user_id, claim.target_url, claim.status) == (user_id, PAGE, "issued")
    assert claim.target_listed
    assert claim.expires_at - claim.issued_at == timedelta(days=7)
    assert claim.code_sha256 == code_digest(code)
    (submitted,) = await published()
    assert submitted == VerificationSubmitted(
        request_id=claim.id,
        artist_id=claim.artist_id,
        user_id=user_id,
        expires_at=claim.expires_at,
    )
    (first,) = await history(claim)
    assert (first.actor, first.actor_id, first.from_status) == ("user", user_id, None)


async def test_the_code_itself_is_nowhere_in_the_database(
    submit: Make, migrated: ServiceDatabase
) -> None:
    _, code = await submit(uuid7())
    symbols = code.removeprefix("seda-").replace("-", "")
    connection = await asyncpg.connect(migrated.admin_url)
    try:
        for table in ("claim", "transition", "outbox", "page_check"):
            for row in await connection.fetch(f"SELECT t::text FROM verification.{table} t"):
                assert symbols not in row[0]
                assert symbols.encode().hex() not in row[0]
    finally:
        await connection.close()


async def test_a_page_the_artist_did_not_list_is_taken_for_review(submit: Make) -> None:
    claim, _ = await submit(uuid7(), "https://nova.example/other")
    assert not claim.target_listed


async def test_a_page_that_proves_nothing_is_refused_and_costs_no_code(submit: Make) -> None:
    user_id = uuid7()
    for _ in range(4):
        with pytest.raises(TargetRefused):
            await submit(user_id, "https://soundcloud.com/search")
    await submit(user_id)


async def test_attack_064_the_artist_of_another_person_does_not_exist(
    submit: Make, listed: Make
) -> None:
    theirs = await listed(uuid7())
    with pytest.raises(ArtistNotFound):
        await submit(uuid7(), artist_id=theirs)
    with pytest.raises(ArtistNotFound):
        await submit(uuid7(), artist_id=uuid7())


async def test_attack_064_twenty_at_once_get_exactly_three_codes(
    submit: Make, listed: Make
) -> None:
    user_id = uuid7()
    artist_id = await listed(user_id)
    answers = await asyncio.gather(
        *(submit(user_id, artist_id=artist_id) for _ in range(20)), return_exceptions=True
    )
    drawn = [answer for answer in answers if isinstance(answer, tuple)]
    refused = [answer for answer in answers if isinstance(answer, ClaimLimitReached)]
    assert (len(drawn), len(refused)) == (3, 17)


async def test_the_fourth_code_comes_when_the_first_is_a_day_old(
    submit: Make, listed: Make, clock: Any
) -> None:
    user_id = uuid7()
    artist_id = await listed(user_id)
    for _ in range(3):
        await submit(user_id, artist_id=artist_id)
        clock.pass_by(timedelta(hours=1))
    with pytest.raises(ClaimLimitReached) as refused:
        await submit(user_id, artist_id=artist_id)
    assert 0 <= refused.value.retry_after_seconds - 21 * 3600 <= 1
    clock.pass_by(timedelta(hours=21) - timedelta(seconds=1))
    with pytest.raises(ClaimLimitReached):
        await submit(user_id, artist_id=artist_id)
    clock.pass_by(timedelta(seconds=1))
    await submit(user_id, artist_id=artist_id)


async def test_a_person_has_five_claims_open_at_most(
    submit: Make, listed: Make, clock: Any
) -> None:
    user_id = uuid7()
    artist_id = await listed(user_id)
    for _ in range(5):
        await submit(user_id, artist_id=artist_id)
        clock.pass_by(timedelta(hours=9))
    with pytest.raises(TooManyOpenClaims):
        await submit(user_id, artist_id=artist_id)
    clock.pass_by(timedelta(days=7) - timedelta(hours=45))
    await submit(user_id, artist_id=artist_id)


async def test_a_code_that_is_taken_is_drawn_again(
    submit: Make, claims: Claims, db: Database, listed: Make
) -> None:
    symbols = iter("2222222222222222" + "33333333")
    rigged = replace(claims, choose=lambda _: next(symbols))
    codes = []
    for user_id in (uuid7(), uuid7()):
        artist_id = await listed(user_id)
        async with db.begin() as tx:
            _, code = await operations.submit_claim(
                tx, rigged, user_id=user_id, artist_id=artist_id, target_url=PAGE
            )
        codes.append(code)
    assert codes == ["seda-2222-2222", "seda-3333-3333"]


async def test_a_check_asks_the_crawler_past_every_cache(
    submit: Make, begin_check: Make, published: Make
) -> None:
    claim, _ = await submit(uuid7())
    checking = await begin_check(claim)
    assert checking.status == "checking"
    fetch = (await published())[-1]
    assert fetch == CrawlFetch(
        job_id=checking.job_id,
        host_key="nova_example",
        url=PAGE,
        requested_by="verification",
        bypass_cache=True,
        find_claim_codes=True,
    )


async def test_a_claim_has_one_check_at_a_time(submit: Make, begin_check: Make) -> None:
    claim, _ = await submit(uuid7())
    answers = await asyncio.gather(*(begin_check(claim) for _ in range(10)), return_exceptions=True)
    started = [answer for answer in answers if isinstance(answer, ClaimRow)]
    refused = [answer for answer in answers if isinstance(answer, ClaimNotOpen)]
    assert (len(started), len(refused)) == (1, 9)


@pytest.mark.parametrize(("outcome", "checks_max"), [("ok", 10), ("unreachable", 30)])
async def test_a_days_checks_end_and_inconclusive_ones_cost_no_attempt(
    submit: Make,
    begin_check: Make,
    claims: Claims,
    db: Database,
    clock: Any,
    outcome: str,
    checks_max: int,
) -> None:
    claim, _ = await submit(uuid7())
    for _ in range(checks_max):
        checking = await begin_check(claim)
        async with db.begin() as tx:
            await operations.record_page(
                tx,
                claims,
                job_id=checking.job_id,
                report=nothing_found(outcome=outcome),
                content_sha256=None,
            )
        clock.pass_by(timedelta(seconds=1))
    with pytest.raises(CheckLimitReached) as refused:
        await begin_check(claim)
    assert refused.value.retry_after_seconds == 86_400 - checks_max + 1
    clock.pass_by(DAY - timedelta(seconds=checks_max))
    await begin_check(claim)


async def test_a_strangers_claim_cannot_be_checked_or_cancelled(
    submit: Make, claims: Claims, db: Database
) -> None:
    claim, _ = await submit(uuid7())
    for operation in (operations.start_check, operations.cancel_claim):
        with pytest.raises(ClaimNotFound):
            async with db.begin() as tx:
                await operation(tx, claims, user_id=uuid7(), claim_id=claim.id)


async def test_attack_064_a_code_is_worthless_from_the_moment_it_expires(
    submit: Make, begin_check: Make, decide: Make, clock: Any
) -> None:
    in_time, _ = await submit(uuid7())
    late, _ = await submit(uuid7())
    clock.pass_by(timedelta(days=7) - timedelta(seconds=1))
    await begin_check(in_time)
    clock.pass_by(timedelta(seconds=1))
    with pytest.raises(ClaimExpired):
        await begin_check(late)
    with pytest.raises(ClaimExpired):
        await decide(late, uuid7())


async def test_the_sweep_writes_expiry_down_once(
    submit: Make, db: Database, claims: Claims, clock: Any, history: Make, published: Make
) -> None:
    claim, _ = await submit(uuid7())
    assert await sweep(db, claims) == 0
    clock.pass_by(timedelta(days=7))
    moved = await asyncio.gather(*(sweep(db, claims) for _ in range(4)))
    assert sum(moved) == 1
    last = (await history(claim))[-1]
    assert (last.actor, last.from_status, last.to_status) == ("clock", "issued", "expired")
    assert sum(isinstance(event, VerificationExpired) for event in await published()) == 1


async def test_a_check_without_an_answer_is_given_up_and_given_back(
    submit: Make, begin_check: Make, db: Database, claims: Claims, clock: Any, stored: Make
) -> None:
    claim, _ = await submit(uuid7())
    checking = await begin_check(claim)
    clock.pass_by(CHECK_WAIT_MAX - timedelta(seconds=1))
    assert await sweep(db, claims) == 0
    clock.pass_by(timedelta(seconds=1))
    assert await sweep(db, claims) == 1
    assert (await stored(claim)).status == "issued"
    async with db.read() as tx:
        check = await tx.get(CheckRow, checking.job_id)
    assert check is not None
    assert check.conclusive is False


async def test_nobody_decides_a_claim_of_their_own(submit: Make, decide: Make) -> None:
    user_id = uuid7()
    claim, _ = await submit(user_id)
    with pytest.raises(SelfDecision):
        await decide(claim, user_id)
    assert (await decide(claim, uuid7())).status == "approved"


async def test_a_decision_is_made_once(submit: Make, decide: Make) -> None:
    claim, _ = await submit(uuid7())
    answers = await asyncio.gather(
        *(decide(claim, uuid7(), word) for word in ("approve", "reject") * 3),
        return_exceptions=True,
    )
    assert sum(isinstance(answer, ClaimRow) for answer in answers) == 1
    assert sum(isinstance(answer, ClaimNotOpen) for answer in answers) == 5


async def test_the_second_proof_of_one_artist_is_a_conflict(
    submit: Make, listed: Make, decide: Make
) -> None:
    user_id = uuid7()
    artist_id = await listed(user_id)
    first, _ = await submit(user_id, artist_id=artist_id)
    second, _ = await submit(user_id, artist_id=artist_id)
    decided = await asyncio.gather(decide(first, uuid7()), decide(second, uuid7()))
    assert sorted(claim.status for claim in decided) == ["approved", "conflict"]
    with pytest.raises(ArtistAlreadyVerified):
        await submit(user_id, artist_id=artist_id)


async def test_an_artist_that_changed_hands_is_a_conflict(
    submit: Make, db: Database, decide: Make
) -> None:
    claim, _ = await submit(uuid7())
    async with db.begin() as tx:
        await operations.remember_artist(
            tx, artist_id=claim.artist_id, user_id=uuid7(), links=[PAGE], version=2
        )
    assert (await decide(claim, uuid7())).status == "conflict"


async def test_a_cancelled_claim_stays_cancelled_when_the_page_comes_in(
    submit: Make, begin_check: Make, claims: Claims, db: Database, stored: Make
) -> None:
    claim, _ = await submit(uuid7())
    checking = await begin_check(claim)
    async with db.begin() as tx:
        await operations.cancel_claim(tx, claims, user_id=claim.user_id, claim_id=claim.id)
    async with db.begin() as tx:
        await operations.record_page(
            tx, claims, job_id=checking.job_id, report=nothing_found(), content_sha256=None
        )
    assert (await stored(claim)).status == "cancelled"


async def test_history_cannot_be_rewritten(submit: Make, migrated: ServiceDatabase) -> None:
    await submit(uuid7())
    for url in migrated:
        connection = await asyncpg.connect(url)
        try:
            for statement in (
                "UPDATE verification.transition SET actor = 'clock'",
                "DELETE FROM verification.transition",
            ):
                with pytest.raises(asyncpg.RaiseError, match="only ever added to"):
                    await connection.execute(statement)
        finally:
            await connection.close()


def test_the_default_limits_are_the_documented_ones() -> None:
    limits = Limits()
    assert (limits.code_symbols, limits.code_lifetime.days, limits.claims_per_day_max) == (8, 7, 3)
    assert (limits.open_claims_max, limits.checks_per_day_max) == (5, 10)
