"""HTTP of search."""

from typing import Annotated
from uuid import UUID

from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter
from seda_db import Database
from seda_identity import Policy, Principal

from chat_realtime.log.operations import Recording
from chat_realtime.messages.routes import Limit, MessagePage, SeqOrNone, message_page
from chat_realtime.search import operations
from chat_realtime.search.domain import QUERY_LENGTH_MAX


class SearchRoutes(Controller):
    path = "/api/v1/chat/rooms/{room_id:uuid}/search"

    @get(operation_id="SearchRoom", policy=Policy("message:read"))
    async def search_room(
        self,
        room_id: FromPath[UUID],
        db: NamedDependency[Database],
        recording: NamedDependency[Recording],
        principal: NamedDependency[Principal],
        q: Annotated[str, QueryParameter(min_length=1, max_length=QUERY_LENGTH_MAX)],
        author_id: FromQuery[UUID | None] = None,
        before_seq: SeqOrNone = None,
        limit: Limit = 20,
    ) -> Response[MessagePage]:
        """All words of `q`; "in quotes" as a phrase, `-word` without it, `or` between two."""
        async with db.read() as tx:
            page = await operations.search_room(
                tx,
                principal,
                room_id,
                query=q,
                author_id=author_id,
                before_seq=before_seq,
                limit=limit,
                now=recording.now(),
            )
        return message_page(page, limit)
