"""HTTP of presence: who is in a room now. To be there takes a socket."""

from uuid import UUID

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import FromPath
from seda_contracts.realtime import PresenceState
from seda_db import Database
from seda_identity import Policy, Principal

from chat_realtime.log.operations import Recording
from chat_realtime.presence.board import Look
from chat_realtime.rooms.operations import standing_of


class PresenceRoutes(Controller):
    path = "/api/v1/chat/rooms/{room_id:uuid}/presence"

    @get(operation_id="GetPresence", policy=Policy("room:read"))
    async def get_presence(
        self,
        room_id: FromPath[UUID],
        db: NamedDependency[Database],
        recording: NamedDependency[Recording],
        look: NamedDependency[Look],
        principal: NamedDependency[Principal],
    ) -> PresenceState:
        async with db.read() as tx:
            (await standing_of(tx, room_id, principal)).check_member(recording.now())
        return await look(room_id)
