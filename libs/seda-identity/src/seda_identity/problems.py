"""How identity errors look to a client; part of every service's table."""

from seda_runtime.problems import Problem, ProblemTable

from seda_identity.identity import InvalidIdentity
from seda_identity.policy import Forbidden
from seda_identity.principal import ScopeMissing, SignInRequired

IDENTITY_PROBLEMS: ProblemTable = {
    SignInRequired: Problem(401, "missing_token", "Missing authentication token"),
    InvalidIdentity: Problem(401, "invalid_token", "Invalid authentication token"),
    ScopeMissing: Problem(403, "insufficient_scope", "The key has no scope for this."),
    Forbidden: Problem(403, "forbidden", "Admin privileges required"),
}
