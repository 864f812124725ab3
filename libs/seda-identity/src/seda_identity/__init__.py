"""Verifies who calls and whether the route allows it. Never issues a token.

A service believes only the gateway's signed identity, bound to the service, the method and the
path; headers that merely name a user are nothing to it.
"""

from seda_identity.identity import (
    IdentityVerifier,
    InvalidIdentity,
    provide_principal,
    require_identity,
)
from seda_identity.policy import Forbidden, Policy, SignInRequired, enforce_policies
from seda_identity.principal import Principal, Role
from seda_identity.problems import IDENTITY_PROBLEMS

__all__ = [
    "IDENTITY_PROBLEMS",
    "Forbidden",
    "IdentityVerifier",
    "InvalidIdentity",
    "Policy",
    "Principal",
    "Role",
    "SignInRequired",
    "enforce_policies",
    "provide_principal",
    "require_identity",
]
