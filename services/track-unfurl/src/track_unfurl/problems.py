"""How each domain error looks to a client."""

from seda_identity import IDENTITY_PROBLEMS
from seda_runtime.problems import Problem, ProblemTable

from track_unfurl.links.domain import InvalidUrl, UnsupportedUrl
from track_unfurl.tracks.domain import LinkUnreachable, RefusedUrl, TrackNotFound

PROBLEMS: ProblemTable = {
    **IDENTITY_PROBLEMS,
    InvalidUrl: Problem(400, "invalid_url", "There is no link in this text."),
    LinkUnreachable: Problem(503, "link_unreachable", "The short link did not answer."),
    RefusedUrl: Problem(422, "refused_url", "This address is not asked from here."),
    TrackNotFound: Problem(404, "track_not_found", "No such track."),
    UnsupportedUrl: Problem(422, "unsupported_url", "This link does not lead to a track."),
}
