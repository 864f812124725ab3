"""How each domain error looks to a client."""

from seda_identity import IDENTITY_PROBLEMS
from seda_runtime.problems import Problem, ProblemTable

from crawler.domain import AddressRefused, CursorRefused, PageNotCached

PROBLEMS: ProblemTable = {
    **IDENTITY_PROBLEMS,
    AddressRefused: Problem(400, "address_refused", "This address may not be fetched."),
    CursorRefused: Problem(400, "cursor_refused", "This cursor is not from this list."),
    PageNotCached: Problem(404, "page_not_cached", "The cache holds no such page."),
}
