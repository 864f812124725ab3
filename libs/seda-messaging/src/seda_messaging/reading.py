"""What a message must be before a handler sees it, and the reason it is given up when it is not.

Whoever asks whether giving a dead letter back can help asks here too, so that both say the same.
"""

from collections.abc import Mapping

import msgspec
from seda_contracts.base import BODY_BYTES_MAX, Contract, UnsafeSubjectKeyError
from seda_contracts.envelope import Envelope, MalformedEnvelopeError, read_envelope
from seda_contracts.registry import BY_TYPE


class PermanentFailure(Exception):
    """No retry can help. The event goes to the dead letters with this reason."""


def read_message(
    wanted: type[Contract], subject: str, headers: Mapping[str, str], body: bytes
) -> tuple[Envelope, Contract]:
    """Raises PermanentFailure with the reason, in words that can be relied on."""
    try:
        envelope = read_envelope(headers)
    except MalformedEnvelopeError as error:
        raise PermanentFailure(f"malformed_envelope: {error}") from error
    if envelope.type != wanted.TYPE:
        family = wanted.TYPE.rpartition(".")[0]
        is_version = envelope.type.rpartition(".")[0] == family
        raise PermanentFailure("unknown_version" if is_version else "type_mismatch")
    if envelope.source not in {f"/seda/{name}" for name in BY_TYPE[wanted.TYPE].producers}:
        raise PermanentFailure("forged_producer")
    if len(body) > BODY_BYTES_MAX:
        raise PermanentFailure(f"oversize: {len(body)} bytes")
    try:
        contract = wanted.decode(body)
        is_keyed = contract.subject() == subject
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise PermanentFailure(f"undecodable: {error}") from error
    except RecursionError as error:
        raise PermanentFailure("undecodable: nested too deep") from error
    except UnsafeSubjectKeyError as error:
        raise PermanentFailure("unsafe_key") from error
    if not is_keyed:
        raise PermanentFailure("wrong_key")
    return envelope, contract
