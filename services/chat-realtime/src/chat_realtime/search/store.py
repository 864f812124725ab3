"""The SQL of search. Words are PostgreSQL's `simple` ones: as typed, lower case, no stems."""

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from chat_realtime.search.domain import SEARCH_SECONDS_MAX, SearchTooBroad
from chat_realtime.tables import SEARCH_VECTOR

QUERY_CANCELED = "57014"

# `websearch_to_tsquery` never fails on what people type. The room is a word of the index, so that a
# word that is common everywhere costs only what it costs in this room.
_FOUND = text(
    f"""
    SELECT id FROM chat.message
    WHERE ({SEARCH_VECTOR}) @@ (
            CAST(:room_word AS tsquery) && websearch_to_tsquery('simple', :query))
      AND room_id = :room_id AND deleted_at IS NULL
      AND (CAST(:author_id AS uuid) IS NULL OR author_id = :author_id)
      AND (CAST(:before_seq AS bigint) IS NULL OR seq < :before_seq)
    ORDER BY seq DESC
    LIMIT :limit
    """  # noqa: S608 - put together from our own constant
)


async def found(
    tx: AsyncSession,
    room_id: UUID,
    *,
    query: str,
    author_id: UUID | None,
    before_seq: int | None,
    limit: int,
) -> list[UUID]:
    """The newest messages with these words. Raises SearchTooBroad."""
    parameters = {
        "room_id": room_id,
        "room_word": f"'{room_id}'",
        "query": query,
        "author_id": author_id,
        "before_seq": before_seq,
        "limit": limit,
    }
    await tx.execute(text(f"SET LOCAL statement_timeout = '{SEARCH_SECONDS_MAX}s'"))
    try:
        return list(await tx.scalars(_FOUND, parameters))
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) == QUERY_CANCELED:
            raise SearchTooBroad from error
        raise
