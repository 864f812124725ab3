"""HTTP of pins."""

from uuid import UUID

from litestar import Controller, Response, delete, get, put
from litestar.di import NamedDependency
from litestar.params import FromPath
from seda_db import Database
from seda_identity import Policy, Principal

from chat_realtime.log.operations import Recording
from chat_realtime.messages.routes import Changed, MessagePage, message_page
from chat_realtime.pins import operations
from chat_realtime.pins.domain import PINS_MAX

WRITE = Policy("message:write", limit="messages")


class PinRoutes(Controller):
    path = "/api/v1/chat/rooms/{room_id:uuid}/pins"

    @get(operation_id="ListPins", policy=Policy("message:read"))
    async def list_pins(
        self,
        room_id: FromPath[UUID],
        db: NamedDependency[Database],
        recording: NamedDependency[Recording],
        principal: NamedDependency[Principal],
    ) -> Response[MessagePage]:
        async with db.read() as tx:
            page = await operations.read_pins(tx, principal, room_id, now=recording.now())
        return message_page(page, PINS_MAX + 1)

    @put("/{message_id:uuid}", operation_id="PinMessage", policy=WRITE)
    async def pin_message(
        self,
        room_id: FromPath[UUID],
        message_id: FromPath[UUID],
        db: NamedDependency[Database],
        recording: NamedDependency[Recording],
        principal: NamedDependency[Principal],
    ) -> Changed:
        async with db.begin() as tx:
            return Changed(seq=await operations.pin(tx, recording, principal, room_id, message_id))

    @delete("/{message_id:uuid}", operation_id="UnpinMessage", policy=WRITE, status_code=200)
    async def unpin_message(
        self,
        room_id: FromPath[UUID],
        message_id: FromPath[UUID],
        db: NamedDependency[Database],
        recording: NamedDependency[Recording],
        principal: NamedDependency[Principal],
    ) -> Changed:
        async with db.begin() as tx:
            return Changed(
                seq=await operations.unpin(tx, recording, principal, room_id, message_id)
            )
