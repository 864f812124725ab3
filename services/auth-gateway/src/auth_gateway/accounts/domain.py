"""The rules of accounts: e-mail addresses, passwords and roles. No clock, no database."""

import base64
import re
import unicodedata
from enum import StrEnum
from functools import cache
from importlib.resources import files
from uuid import UUID

EMAIL_LENGTH_MAX = 254
LOCAL_PART_LENGTH_MAX = 64
PASSWORD_LENGTH_MIN = 8
PASSWORD_LENGTH_MAX = 128
DISPLAY_NAME_LENGTH_MAX = 50
_DISTINCT_CHARACTERS_MIN = 3

_LOCAL_ASCII = frozenset("abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+/=?^_`{|}~-.")
_DOMAIN = re.compile(
    r"(?=.{4,253}\Z)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]"
)


class Role(StrEnum):
    """From least to most; a room's moderators are chat-realtime's business."""

    USER = "USER"
    ADMIN = "ADMIN"
    SUPER_ADMIN = "SUPER_ADMIN"


class InvalidEmail(Exception):
    """Not an address this platform accepts."""


class WeakPassword(Exception):
    """Too short, too common, or the same as something an attacker already knows."""


class PasswordTooLong(Exception):
    """Refused before hashing: a longer password would only be a way to keep a core busy."""


class InvalidDisplayName(Exception):
    """Empty, too long, or with characters that nobody can see."""


class EmailTaken(Exception):
    """Another account has this address."""


class SignupClosed(Exception):
    """The operator has switched sign-up off."""


class WrongCredentials(Exception):
    """E-mail and password do not belong together; which of the two is wrong stays unsaid."""


class AccountNotFound(Exception):
    """No account has this id."""


class RoleForbidden(Exception):
    """Only a SUPER_ADMIN gives or takes roles, judged by the database and not by the token."""


class LastSuperAdmin(Exception):
    """Somebody must stay able to give roles."""


class WrongAdminKey(Exception):
    """The key is not ADMIN_API_KEY, or none is configured."""


class AlreadyBootstrapped(Exception):
    """A SUPER_ADMIN exists; from now on roles are given by people."""


class InvalidCursor(Exception):
    """Not a cursor this API has given."""


def normal_email(text: str) -> str:
    """The one spelling under which an address is stored and looked up.

    NFC, lower case, no surrounding space, and the domain in its ASCII form, so that case, Unicode
    composition and IDN spelling never make a second account. Raises InvalidEmail.
    """
    composed = unicodedata.normalize("NFC", text).strip().lower()
    local, at, domain = composed.rpartition("@")
    if not at or len(composed) > EMAIL_LENGTH_MAX:
        raise InvalidEmail
    return f"{_checked_local_part(local)}@{_ascii_domain(domain)}"


def _checked_local_part(local: str) -> str:
    if not local or len(local.encode()) > LOCAL_PART_LENGTH_MAX:
        raise InvalidEmail
    if local[0] == "." or local[-1] == "." or ".." in local:
        raise InvalidEmail
    if not all(
        letter in _LOCAL_ASCII if letter.isascii() else _is_visible(letter) for letter in local
    ):
        raise InvalidEmail
    return local


def _ascii_domain(domain: str) -> str:
    try:
        ascii_domain = domain.encode("idna").decode("ascii").lower()
    except UnicodeError as error:
        raise InvalidEmail from error
    if not _DOMAIN.fullmatch(ascii_domain):
        raise InvalidEmail
    return ascii_domain


def check_display_name(text: str) -> str:
    """The name as it will be published: NFC and trimmed. Raises InvalidDisplayName."""
    name = unicodedata.normalize("NFC", text).strip()
    if not 1 <= len(name) <= DISPLAY_NAME_LENGTH_MAX:
        raise InvalidDisplayName
    if not all(letter == " " or _is_visible(letter) for letter in name):
        raise InvalidDisplayName
    return name


def check_new_password(password: str, *, email: str, display_name: str | None) -> None:
    """Raises WeakPassword or PasswordTooLong. Length counts characters; nothing is trimmed.

    No composition rules: they make passwords worse. What is refused is what lists of guesses
    begin with.
    """
    check_password_length(password)
    if len(password) < PASSWORD_LENGTH_MIN:
        raise WeakPassword(f"Use at least {PASSWORD_LENGTH_MIN} characters.")
    folded = unicodedata.normalize("NFC", password).casefold()
    known = {email, email.partition("@")[0], (display_name or "").casefold()}
    if folded in known:
        raise WeakPassword("Do not use your e-mail address or name as password.")
    if folded in _common_passwords() or len(set(folded)) < _DISTINCT_CHARACTERS_MIN:
        raise WeakPassword("This password is on every list of guesses.")


def check_password_length(password: str) -> None:
    """The only rule at login, where an old password must keep working. Raises PasswordTooLong."""
    if len(password) > PASSWORD_LENGTH_MAX:
        raise PasswordTooLong(f"Use at most {PASSWORD_LENGTH_MAX} characters.")


def password_bytes(password: str) -> bytes:
    """What is hashed: NFC, so that the same keys on another machine give the same bytes."""
    return unicodedata.normalize("NFC", password).encode()


def cursor_of_id(last_id: UUID) -> str:
    return base64.urlsafe_b64encode(last_id.bytes).rstrip(b"=").decode()


def id_of_cursor(cursor: str) -> UUID:
    """Raises InvalidCursor."""
    try:
        return UUID(bytes=base64.b64decode(cursor + "==", altchars=b"-_", validate=True))
    except ValueError as error:
        raise InvalidCursor from error


def _is_visible(letter: str) -> bool:
    """Letters, marks, numbers, punctuation, symbols: no control, format, space or surrogate."""
    return unicodedata.category(letter)[0] in "LMNPS"


@cache
def _common_passwords() -> frozenset[str]:
    text = files("auth_gateway.accounts").joinpath("common_passwords.txt").read_text("utf-8")
    return frozenset(line.casefold() for line in text.split() if line)
