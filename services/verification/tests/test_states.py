"""Any order of events keeps a claim sound: a state machine against the real database."""

import asyncio
import secrets
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from seda_db import Database
from seda_messaging import Outbox
from seda_runtime.ids import uuid7
from seda_testkit.databases import ServiceDatabase
from sqlalchemy import select
from verification import operations
from verification.domain import (
    MOVES,
    ArtistAlreadyVerified,
    ClaimExpired,
    ClaimNotOpen,
    LimitReached,
    Limits,
    Mark,
    PageReport,
    TooManyOpenClaims,
)
from verification.moves import Claims
from verification.sweep import sweep
from verification.tables import ClaimRow, Table, TransitionRow

PAGE = "https://nova.example/"
REFUSALS = (ArtistAlreadyVerified, ClaimExpired, ClaimNotOpen, LimitReached, TooManyOpenClaims)


class ClaimMachine(RuleBasedStateMachine):
    """One artist; its owner, the crawler, admins and the clock act as they please."""

    database: ServiceDatabase
    known = Bundle("known")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.now = datetime(2026, 11, 20, 12, tzinfo=UTC)
        self.user_id, self.artist_id = uuid7(), uuid7()
        self.codes: dict[UUID, str] = {}
        self.claims = Claims(
            outbox=Outbox(Table.metadata, service="verification"),
            now=lambda: self.now,
            limits=Limits(claims_per_day_max=10),
            choose=secrets.choice,
        )
        self.db = Database(self.database.app_url, pool_size=2)
        self.run(self.database.delete_rows())
        self.run(
            self._in_transaction(
                operations.remember_artist,
                artist_id=self.artist_id,
                user_id=self.user_id,
                links=[PAGE],
                version=1,
            )
        )

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run(work)

    async def _in_transaction(self, operation: Any, *arguments: Any, **named: Any) -> Any:
        async with self.db.begin() as tx:
            return await operation(tx, *arguments, **named)

    def attempt(self, operation: Any, **named: Any) -> Any:
        """What the operation gives, or None when it is refused by a rule."""
        try:
            return self.run(self._in_transaction(operation, self.claims, **named))
        except REFUSALS:
            return None

    @rule(target=known, listed=st.booleans())
    def submit(self, listed: bool) -> Any:
        target = PAGE if listed else f"{PAGE}news"
        submitted = self.attempt(
            operations.submit_claim,
            user_id=self.user_id,
            artist_id=self.artist_id,
            target_url=target,
        )
        if submitted is None:
            return multiple()
        claim, self.codes[submitted[0].id] = submitted
        return claim.id

    @rule(claim_id=known)
    def check(self, claim_id: UUID) -> None:
        self.attempt(operations.start_check, user_id=self.user_id, claim_id=claim_id)

    @rule(claim_id=known)
    def cancel(self, claim_id: UUID) -> None:
        self.attempt(operations.cancel_claim, user_id=self.user_id, claim_id=claim_id)

    @rule(claim_id=known, decision=st.sampled_from(["approve", "reject"]))
    def decide(self, claim_id: UUID, decision: str) -> None:
        self.attempt(
            operations.decide_claim,
            reviewer_id=uuid7(),
            claim_id=claim_id,
            decision=decision,
            reason="as the machine says",
        )

    @rule(
        claim_id=known,
        outcome=st.sampled_from(["ok", "blocked", "unreachable"]),
        place=st.sampled_from(["visible_text", "hidden", None]),
        times=st.integers(1, 2),
    )
    def crawler_answers(self, claim_id: UUID, outcome: str, place: Any, times: int) -> None:
        claim = self._claim(claim_id)
        if claim.job_id is None:
            return
        mark = Mark(code=self.codes[claim_id], place=place) if place else None
        report = PageReport(
            url=claim.target_url,
            final_url=claim.target_url,
            redirect_urls=[],
            outcome=outcome,
            status_code=200,
            marks=[mark] if mark else [],
        )
        for _ in range(times):
            self.attempt(
                operations.record_page,
                job_id=claim.job_id,
                report=report,
                content_sha256="ab" * 32,
            )

    @rule(hours=st.sampled_from([1, 24, 24 * 7]))
    def time_passes(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    @rule()
    def sweeps(self) -> None:
        self.run(sweep(self.db, self.claims))

    @invariant()
    def an_artist_has_one_badge_at_most(self) -> None:
        approved = [claim for claim in self._claims() if claim.status == "approved"]
        assert len(approved) <= 1

    @invariant()
    def history_explains_every_status(self) -> None:
        async def read() -> list[TransitionRow]:
            async with self.db.read() as tx:
                query = select(TransitionRow).order_by(TransitionRow.id)  # type: ignore[arg-type]
                return list(await tx.scalars(query))

        last: dict[UUID, Any] = {}
        for step in self.run(read()):
            assert step.from_status == last.get(step.claim_id)
            if step.from_status is not None:
                assert step.to_status in MOVES[step.from_status]
            last[step.claim_id] = step.to_status
        assert last == {claim.id: claim.status for claim in self._claims()}

    @invariant()
    def a_claim_under_check_knows_its_job(self) -> None:
        for claim in self._claims():
            assert (claim.status != "checking") or claim.job_id is not None

    def _claims(self) -> list[ClaimRow]:
        async def read() -> list[ClaimRow]:
            async with self.db.read() as tx:
                return list(await tx.scalars(select(ClaimRow)))

        found: list[ClaimRow] = self.run(read())
        return found

    def _claim(self, claim_id: UUID) -> ClaimRow:
        return next(claim for claim in self._claims() if claim.id == claim_id)

    def teardown(self) -> None:
        self.run(self.db.close())
        self.loop.close()


def test_no_order_of_events_breaks_a_claim(migrated: ServiceDatabase) -> None:
    machine = type("Machine", (ClaimMachine,), {"database": migrated})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=15,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
