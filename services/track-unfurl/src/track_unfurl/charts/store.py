"""The SQL of shares, reactions and the ranking over them.

Every write here may come twice and in any order: rows carry the version or sequence they stand for,
and an older one never replaces a newer.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, and_, delete, func, or_, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from track_unfurl.charts import domain
from track_unfurl.tables import Chart, Reaction, Share, SharedMessage

RANKING = text("""
WITH counted AS (
  SELECT m.user_id, m.message_id, m.shared_at, l.track_id,
         row_number() OVER (
           PARTITION BY m.user_id, date_trunc('hour', m.shared_at, 'UTC')
           ORDER BY m.shared_at, m.message_id, s.link_id
         ) AS nth
  FROM unfurl.shared_message m
  JOIN unfurl.share s ON s.message_id = m.message_id
  JOIN unfurl.link l ON l.link_id = s.link_id
  WHERE m.shared_at > :since AND NOT m.is_deleted
), shares AS (
  SELECT track_id, user_id, max(shared_at) AS at
  FROM counted WHERE nth <= :shares_max GROUP BY track_id, user_id
), liked AS (
  SELECT c.track_id, r.user_id, max(c.shared_at) AS at,
         row_number() OVER (
           PARTITION BY r.user_id, date_trunc('hour', max(c.shared_at), 'UTC')
           ORDER BY max(c.shared_at), c.track_id
         ) AS nth
  FROM counted c JOIN unfurl.reaction r ON r.message_id = c.message_id
  WHERE c.nth <= :shares_max AND r.is_present AND r.user_id <> c.user_id
  GROUP BY c.track_id, r.user_id
), weighed AS (
  SELECT track_id, at, 1.0 AS weight FROM shares
  UNION ALL
  SELECT track_id, at, :reaction_weight FROM liked WHERE nth <= :reactions_max
)
SELECT t.id AS track_id,
       sum(w.weight * exp(-greatest(extract(epoch FROM :now - w.at), 0) / :decay_seconds))
         ::double precision AS score
FROM weighed w JOIN unfurl.track_ref t ON t.id = w.track_id
WHERE t.status NOT IN ('not_found', 'refused')
GROUP BY t.id ORDER BY score DESC, t.id LIMIT :entries_max
""")


async def put_message(
    tx: AsyncSession,
    *,
    message_id: UUID,
    user_id: UUID,
    shared_at: datetime,
    edit_version: int,
    is_deleted: bool = False,
) -> bool:
    """Whether this is now the newest version. The time of the message is the earliest told."""
    statement = insert(SharedMessage).values(
        message_id=message_id,
        user_id=user_id,
        shared_at=shared_at,
        edit_version=edit_version,
        is_deleted=is_deleted,
    )
    new = statement.excluded
    table: Any = SharedMessage.__table__.c  # type: ignore[attr-defined]
    upsert = statement.on_conflict_do_update(
        index_elements=["message_id"],
        set_={
            "shared_at": func.least(table.shared_at, new.shared_at),
            "edit_version": func.greatest(table.edit_version, new.edit_version),
            "is_deleted": or_(table.is_deleted, new.is_deleted),
        },
    ).returning(table.edit_version, table.is_deleted)
    row = (await tx.execute(upsert)).one()
    return bool(row.edit_version == edit_version and row.is_deleted == is_deleted)


async def replace_shares(tx: AsyncSession, message_id: UUID, link_ids: Sequence[UUID]) -> None:
    shares: Any = Share.__table__  # type: ignore[attr-defined]
    await tx.execute(delete(Share).where(shares.c.message_id == message_id))
    rows = [{"message_id": message_id, "link_id": link_id} for link_id in dict.fromkeys(link_ids)]
    if rows:
        await tx.execute(insert(Share).values(rows))


async def put_reaction(
    tx: AsyncSession, *, message_id: UUID, user_id: UUID, emoji: str, seq: int, is_present: bool
) -> None:
    statement = insert(Reaction).values(
        message_id=message_id, user_id=user_id, emoji=emoji, seq=seq, is_present=is_present
    )
    table: Any = Reaction.__table__.c  # type: ignore[attr-defined]
    await tx.execute(
        statement.on_conflict_do_update(
            index_elements=["message_id", "user_id", "emoji"],
            set_={"seq": statement.excluded.seq, "is_present": statement.excluded.is_present},
            where=and_(table.seq < statement.excluded.seq),
        )
    )


async def ranking(tx: AsyncSession, *, now: datetime) -> list[tuple[UUID, float]]:
    """Best first; equal scores by id, so that a ranking is one and the same everywhere."""
    rows: Sequence[Row[Any]] = (
        await tx.execute(
            RANKING,
            {
                "now": now,
                "since": now - domain.WINDOW_LENGTH,
                "shares_max": domain.SHARES_PER_USER_HOUR_MAX,
                "reactions_max": domain.REACTIONS_PER_USER_HOUR_MAX,
                "reaction_weight": domain.REACTION_WEIGHT,
                "decay_seconds": domain.DECAY_SECONDS,
                "entries_max": domain.ENTRIES_MAX,
            },
        )
    ).all()
    return [(row.track_id, row.score) for row in rows]


async def put_chart(tx: AsyncSession, track_ids: Sequence[UUID], *, now: datetime) -> bool:
    """Whether the order differs from the one last told."""
    order = [str(track_id) for track_id in track_ids]
    if not order and await tx.get(Chart, domain.WINDOW) is None:
        return False  # nothing has been shared yet, and nothing has been told
    statement = insert(Chart).values(span=domain.WINDOW, track_ids=order, generated_at=now)
    table: Any = Chart.__table__.c  # type: ignore[attr-defined]
    upsert = statement.on_conflict_do_update(
        index_elements=["span"],
        set_={"track_ids": statement.excluded.track_ids, "generated_at": now},
        where=table.track_ids != statement.excluded.track_ids,
    ).returning(table.span)
    return (await tx.execute(upsert)).first() is not None
