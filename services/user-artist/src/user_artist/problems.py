"""How each domain error looks to a client."""

from seda_identity import IDENTITY_PROBLEMS
from seda_runtime.problems import Problem, ProblemTable

from user_artist.addresses import AddressRefused
from user_artist.artists.domain import (
    ArtistExists,
    ArtistNotFound,
    CursorRefused,
    LinkRefused,
    NotArtistOwner,
    VerifiedNameFixed,
)
from user_artist.blocks.domain import CannotBlockSelf, TooManyBlocks
from user_artist.names import BioRefused, NameRefused
from user_artist.users.domain import HandleRefused, HandleTaken, ProfilePending, UserNotFound

PROBLEMS: ProblemTable = {
    **IDENTITY_PROBLEMS,
    AddressRefused: Problem(400, "address_refused", "This is not a public https address."),
    ArtistExists: Problem(409, "artist_exists", "You have an artist profile already."),
    ArtistNotFound: Problem(404, "artist_not_found", "No such artist."),
    CannotBlockSelf: Problem(422, "cannot_block_self", "You cannot block yourself."),
    TooManyBlocks: Problem(409, "too_many_blocks", "You have blocked too many people."),
    BioRefused: Problem(400, "bio_refused", "The biography holds characters that hide text."),
    CursorRefused: Problem(400, "cursor_refused", "This cursor is not from this search."),
    HandleRefused: Problem(400, "handle_refused", "This handle cannot be used."),
    HandleTaken: Problem(409, "handle_taken", "This handle, or one that looks like it, is taken."),
    LinkRefused: Problem(
        400, "link_refused", "A link must be a profile page of the place its field names."
    ),
    NameRefused: Problem(400, "name_refused", "This name cannot be shown."),
    NotArtistOwner: Problem(403, "not_artist_owner", "This artist profile is not yours."),
    ProfilePending: Problem(409, "profile_pending", "Your profile is still being made."),
    UserNotFound: Problem(404, "user_not_found", "No such person."),
    VerifiedNameFixed: Problem(
        409, "verified_name_fixed", "The name of a verified artist does not change."
    ),
}
