"""How each of this service's errors looks to a client. The only table of its kind."""

from seda_identity import IDENTITY_PROBLEMS
from seda_runtime.problems import Problem, ProblemTable

from auth_gateway.access.refusals import (
    AccessTokenExpired,
    BodyNotJson,
    InvalidAccessToken,
    MissingToken,
    RateLimited,
)
from auth_gateway.accounts.domain import (
    AccountNotFound,
    AlreadyBootstrapped,
    EmailTaken,
    InvalidCursor,
    InvalidDisplayName,
    InvalidEmail,
    LastSuperAdmin,
    PasswordTooLong,
    RoleForbidden,
    SignupClosed,
    WeakPassword,
    WrongAdminKey,
    WrongCredentials,
)
from auth_gateway.accounts.hashing import HashingBusy
from auth_gateway.bots.domain import (
    BotNotFound,
    InvalidExpiry,
    InvalidKey,
    InvalidScopes,
    KeyNotFound,
    TooManyBots,
    TooManyKeys,
)
from auth_gateway.proxy.domain import TokenInQuery, UnsoundPath
from auth_gateway.proxy.forward import BodyTooLarge, UpstreamTimeout, UpstreamUnavailable
from auth_gateway.sessions.domain import (
    AccountSuspended,
    InvalidRefreshToken,
    RefreshTokenReused,
    SessionEnded,
    SessionExpired,
    SessionNotFound,
)
from auth_gateway.sessions.revocation import RevocationsStale
from auth_gateway.suspensions.domain import (
    CannotSuspendSelf,
    InvalidReason,
    InvalidUntil,
    SuspensionForbidden,
)

PROBLEMS: ProblemTable = {
    **IDENTITY_PROBLEMS,
    MissingToken: Problem(401, "missing_token", "Missing authentication token"),
    InvalidAccessToken: Problem(401, "invalid_token", "Invalid authentication token"),
    AccessTokenExpired: Problem(401, "token_expired", "The access token has expired"),
    TokenInQuery: Problem(401, "invalid_token", "Tokens are not accepted in the address."),
    RateLimited: Problem(429, "rate_limited", "Too many requests."),
    BodyNotJson: Problem(415, "unsupported_media_type", "Send JSON."),
    UnsoundPath: Problem(400, "unsound_path", "The address can be read in more than one way."),
    InvalidEmail: Problem(400, "invalid_email", "This is not an e-mail address we can use."),
    InvalidDisplayName: Problem(400, "invalid_display_name", "Use 1 to 50 visible characters."),
    WeakPassword: Problem(422, "weak_password", "Choose another password."),
    PasswordTooLong: Problem(422, "password_too_long", "Choose a shorter password."),
    EmailTaken: Problem(409, "email_taken", "An account with this e-mail address exists."),
    SignupClosed: Problem(403, "signup_closed", "Sign-up is closed."),
    WrongCredentials: Problem(401, "wrong_credentials", "E-mail or password is wrong."),
    HashingBusy: Problem(503, "busy", "Too many logins at once. Try again soon."),
    AccountNotFound: Problem(404, "account_not_found", "No such account."),
    RoleForbidden: Problem(403, "forbidden", "Admin privileges required"),
    LastSuperAdmin: Problem(409, "last_super_admin", "Somebody must stay able to give roles."),
    WrongAdminKey: Problem(403, "wrong_admin_key", "The admin key is wrong."),
    AlreadyBootstrapped: Problem(409, "already_bootstrapped", "A SUPER_ADMIN exists already."),
    InvalidCursor: Problem(400, "invalid_cursor", "This is not a cursor of this list."),
    InvalidRefreshToken: Problem(400, "invalid_refresh_token", "The refresh token is not valid."),
    RefreshTokenReused: Problem(
        400, "refresh_token_already_used", "The refresh token was used before; log in again."
    ),
    SessionExpired: Problem(400, "session_expired", "The session has expired; log in again."),
    SessionEnded: Problem(400, "session_ended", "The session has ended; log in again."),
    SessionNotFound: Problem(404, "session_not_found", "No such session of yours."),
    InvalidKey: Problem(401, "invalid_token", "Invalid authentication token"),
    BotNotFound: Problem(404, "bot_not_found", "No such bot of yours."),
    KeyNotFound: Problem(404, "key_not_found", "No such key of this bot."),
    TooManyBots: Problem(409, "too_many_bots", "You have as many bots as you may."),
    TooManyKeys: Problem(409, "too_many_keys", "The bot has as many keys as it may."),
    InvalidScopes: Problem(422, "invalid_scopes", "A key is not made for this scope."),
    InvalidExpiry: Problem(422, "invalid_expires_at", "The end of the key is not sound."),
    AccountSuspended: Problem(403, "account_suspended", "This account is suspended."),
    CannotSuspendSelf: Problem(409, "cannot_suspend_self", "You cannot suspend yourself."),
    SuspensionForbidden: Problem(403, "forbidden", "Admin privileges required"),
    InvalidReason: Problem(422, "invalid_reason", "Give a reason of 1 to 500 characters."),
    InvalidUntil: Problem(422, "invalid_until", "The end of the suspension is not sound."),
    RevocationsStale: Problem(503, "unavailable", "Admin routes wait for the message broker."),
    BodyTooLarge: Problem(413, "too_large", "The request body is too large."),
    UpstreamUnavailable: Problem(502, "upstream_unavailable", "The service is not reachable."),
    UpstreamTimeout: Problem(504, "upstream_timeout", "The service did not answer in time."),
}
