"""Give links their cards: at once when the card is known, later for all messages together."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from uuid import UUID

import msgspec
from seda_contracts.events.chat import CardAttached, SharedLink
from seda_contracts.events.unfurl import LinkUnresolvable, TrackResolved, UnfurlResolve
from sqlalchemy.ext.asyncio import AsyncSession

from chat_realtime.cards import store
from chat_realtime.cards.domain import FoundLink, ShownCard
from chat_realtime.log.domain import Change
from chat_realtime.log.operations import Recording, record


async def known_cards(tx: AsyncSession, links: Sequence[FoundLink]) -> dict[UUID, ShownCard]:
    """The cards that can be shown with the message itself."""
    return await store.known_cards(tx, links)


def shared_links(links: Sequence[FoundLink]) -> list[SharedLink]:
    """As events tell them."""
    return [SharedLink(link_id=link.link_id, url=link.url) for link in links]


def questions(links: Sequence[FoundLink], shown: Mapping[UUID, ShownCard]) -> list[UnfurlResolve]:
    """What track-unfurl is asked: every link that has no card yet."""
    return [
        UnfurlResolve(link_id=link.link_id, url=link.url)
        for link in links
        if link.link_id not in shown
    ]


async def tie_links(
    tx: AsyncSession,
    recording: Recording,
    *,
    room_id: UUID,
    message_id: UUID,
    links: Sequence[FoundLink],
    shown: Mapping[UUID, ShownCard],
) -> None:
    """Tie links to a message and ask track-unfurl for those that have no card yet."""
    store.add_links(tx, room_id=room_id, message_id=message_id, links=links, shown=shown)
    await tx.flush()
    for question in questions(links, shown):
        await recording.outbox.add(tx, question)


async def attach_card(tx: AsyncSession, recording: Recording, event: TrackResolved) -> None:
    """Show the card on every message with the link. Doing it again finds nothing left to do."""
    await store.claim_card(tx, event.link_id)
    await store.put_card(
        tx,
        link_id=event.link_id,
        card=msgspec.to_builtins(event.card),
        card_version=event.card_version,
        now=recording.now(),
    )
    room_ids = await store.lock_rooms_with_link(tx, event.link_id)
    attachments = await store.attach_card(tx, event.link_id, room_ids)
    for room_id, group in groupby(attachments, key=lambda attachment: attachment.room_id):
        in_room = list(group)
        entries = await record(tx, recording, room_id, [_attached(each) for each in in_room])
        for attachment, entry in zip(in_room, entries, strict=True):
            await recording.outbox.add(
                tx,
                CardAttached(
                    room_id=room_id,
                    message_id=attachment.message_id,
                    link_id=event.link_id,
                    track_id=UUID(attachment.shown.card["track_id"]),
                    card_version=attachment.shown.card_version,
                    seq=entry.seq,
                ),
            )


async def give_up_link(tx: AsyncSession, recording: Recording, event: LinkUnresolvable) -> None:
    """Tell who waits for a card that none will come; the link stays a plain link."""
    room_ids = await store.lock_rooms_with_link(tx, event.link_id)
    places = await store.messages_without_card(tx, event.link_id, room_ids)
    for room_id, group in groupby(places, key=lambda place: place[0]):
        changes = [
            Change(
                type="card.unresolvable",
                message_id=message_id,
                data={
                    "message_id": str(message_id),
                    "link_id": str(event.link_id),
                    "reason_code": event.reason_code,
                },
            )
            for _, message_id in group
        ]
        await record(tx, recording, room_id, changes)


def _attached(attachment: store.Attachment) -> Change:
    return Change(
        type="card.attached",
        message_id=attachment.message_id,
        data={
            "message_id": str(attachment.message_id),
            **msgspec.to_builtins(attachment.shown),
        },
    )
