"""The card of an author. Pure."""

from uuid import UUID

import msgspec


class ArtistBadge(msgspec.Struct, frozen=True, kw_only=True):
    artist_id: UUID
    artist_name: str
    verified: bool


class AuthorCard(msgspec.Struct, frozen=True, kw_only=True):
    """What is shown beside words. Names are absent until user-artist has told us."""

    user_id: UUID
    handle: str | None = None
    display_name: str | None = None
    avatar_url: str | None = None
    artist: ArtistBadge | None = None
    is_bot: bool = False


class AuthorChanged(msgspec.Struct, frozen=True, kw_only=True):
    """The live signal that a card is another now. Who hears it reads the card: signals of two
    changes may overtake each other, reads after them cannot.
    """

    user_id: UUID
