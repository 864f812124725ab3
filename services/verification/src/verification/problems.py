"""How each domain error looks to a client."""

from seda_identity import IDENTITY_PROBLEMS
from seda_runtime.problems import Problem, ProblemTable

from verification.domain import (
    ArtistAlreadyVerified,
    ArtistNotFound,
    CheckLimitReached,
    ClaimExpired,
    ClaimLimitReached,
    ClaimNotFound,
    ClaimNotOpen,
    CursorRefused,
    ReasonRefused,
    SelfDecision,
    TooManyOpenClaims,
)
from verification.targets import TargetRefused

PROBLEMS: ProblemTable = {
    **IDENTITY_PROBLEMS,
    ArtistAlreadyVerified: Problem(
        409, "artist_already_verified", "This artist is verified already."
    ),
    ArtistNotFound: Problem(404, "artist_not_found", "No such artist of yours."),
    CheckLimitReached: Problem(
        429, "check_limit", "This request had all its checks of the last 24 hours."
    ),
    ClaimExpired: Problem(409, "request_expired", "The code of this request has run out."),
    ClaimLimitReached: Problem(
        429, "verification_limit", "You had all your verification codes of the last 24 hours."
    ),
    ClaimNotFound: Problem(404, "request_not_found", "No such verification request."),
    ClaimNotOpen: Problem(
        409, "request_not_open", "The request is in a state that does not allow this."
    ),
    CursorRefused: Problem(400, "cursor_refused", "This cursor is not from this list."),
    ReasonRefused: Problem(400, "reason_refused", "Give a reason of 3 to 500 visible characters."),
    SelfDecision: Problem(403, "self_decision", "Nobody decides a request of their own."),
    TargetRefused: Problem(
        400, "target_refused", "The target must be a public page that the artist alone writes."
    ),
    TooManyOpenClaims: Problem(
        409, "too_many_open_requests", "Finish or cancel one of your open requests first."
    ),
}
