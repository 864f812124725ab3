"""HTTP of the live side: the stream for who cannot open a socket, and typing beside it."""

from typing import Annotated, Any
from uuid import UUID

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery, Parameter
from litestar.types import ASGIApp
from seda_db import Database
from seda_identity import Policy, Principal

from chat_realtime.live.domain import TooManyRooms
from chat_realtime.live.events import cursors_of
from chat_realtime.live.operations import Hints, hint_typing
from chat_realtime.live.stream import Listen, StreamAnswer
from chat_realtime.log.operations import Recording
from chat_realtime.settings import Settings

STREAM = ResponseSpec(
    data_container=str,
    media_type="text/event-stream",
    description="The frames of the socket, one an event; the last event is of the type `close`.",
)


class _Answer(Response[str]):
    """Hands the whole exchange to the stream."""

    def __init__(self, answer: StreamAnswer) -> None:
        super().__init__("", media_type="text/event-stream")
        self._answer = answer

    def to_asgi_response(self, *_: Any, **__: Any) -> ASGIApp:  # type: ignore[override]
        return self._answer


class LiveRoutes(Controller):
    path = "/api/v1/chat"

    @get(
        "/stream",
        operation_id="OpenStream",
        policy=Policy("message:read"),
        responses={200: STREAM},
    )
    async def open_stream(
        self,
        request: Request[Any, Any, Any],
        listen: NamedDependency[Listen],
        settings: NamedDependency[Settings],
        principal: NamedDependency[Principal],
        room: FromQuery[Annotated[list[str], Parameter(min_items=1)]],
    ) -> Response[str]:
        """`room=<id>` for what happens from now on, `room=<id>:<ep>:<seq>` for what follows that.

        The header `Last-Event-ID` knows better than either, and goes on where a stream broke off.
        """
        if len(room) > settings.rooms_per_socket_max:
            raise TooManyRooms
        rooms = cursors_of(room, request.headers.get("last-event-id"))
        return _Answer(listen(principal, rooms))

    @post(
        "/rooms/{room_id:uuid}/typing",
        operation_id="HintTyping",
        status_code=204,
        policy=Policy("message:write"),
    )
    async def hint_typing(
        self,
        room_id: FromPath[UUID],
        db: NamedDependency[Database],
        recording: NamedDependency[Recording],
        hints: NamedDependency[Hints],
        principal: NamedDependency[Principal],
    ) -> None:
        """To who listens now, at most once in three seconds; the rest vanish."""
        async with db.read() as tx:
            await hint_typing(tx, recording, hints, principal, room_id)
