"""What each service may do at the broker: read from the registry, everything else is refused.

`python -m seda_contracts.permissions > infra/nats/permissions.conf`; `make generate` does it. The
file names the variables that hold the users' public keys; it holds no key itself.
"""

import sys
from collections.abc import Iterable

import msgspec

from seda_contracts.live import AUTHOR_SUBJECT, EVERY_ROOM_SUBJECT, EVERY_USER_SUBJECT
from seda_contracts.registry import REGISTRY, consumed_by, durable_name, produced_by
from seda_contracts.streams import BUCKETS

ACCOUNT = "SEDA"
PROVISIONER = "provisioner"
"""Makes streams and durable consumers: the migration Jobs, never a serving process."""
OPS = "ops"
"""Looks at streams and consumers, reads no message, changes nothing."""
LIVE = {"chat-realtime": (EVERY_ROOM_SUBJECT, EVERY_USER_SUBJECT, AUTHOR_SUBJECT)}
"""Who speaks and listens on the live subjects."""


class Permissions(msgspec.Struct, frozen=True, kw_only=True):
    """Subjects a user may publish and subscribe to. Neither is ever empty: empty means all."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


def services() -> tuple[str, ...]:
    """Whoever produces or consumes, in alphabetical order."""
    consumers = {name.partition(".")[0] for entry in REGISTRY for name in entry.consumers}
    return tuple(sorted(consumers | {name for entry in REGISTRY for name in entry.producers}))


def users() -> dict[str, Permissions]:
    """Every user of the account: the services, then the two that are none."""
    return {
        **{service: of_service(service) for service in services()},
        PROVISIONER: _provisioner(),
        OPS: _ops(),
    }


def durables_of(service: str) -> dict[str, str]:
    """Consumer -> stream, for the consumers of one service."""
    return {
        consumer: entry.stream.name
        for entry in consumed_by(service)
        for consumer in entry.consumers
        if consumer.startswith(f"{service}.")
    }


def of_service(service: str) -> Permissions:
    live = LIVE.get(service, ())
    publish = {entry.contract.subject_filter() for entry in produced_by(service)} | set(live)
    for consumer, stream in durables_of(service).items():
        durable = durable_name(consumer)
        publish |= {
            f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}",
            f"$JS.ACK.{stream}.{durable}.>",
            f"seda.dlq.{consumer}",
        }
    for bucket in BUCKETS:
        if bucket.service == service:
            publish |= _bucket(bucket.name)
    return Permissions(
        publish=tuple(sorted(publish)), subscribe=tuple(sorted({*live, inbox(service)}))
    )


def inbox(user: str) -> str:
    """Where answers come back: nobody hears another's."""
    return f"_INBOX_{user}.>"


def _bucket(bucket: str) -> set[str]:
    """Write, read and watch; the provisioner makes it. A watcher is a consumer with a short life
    that the client makes, asks about, answers the flow control of, and deletes.
    """
    stream = f"KV_{bucket}"
    return {
        f"$KV.{bucket}.>",
        f"$JS.API.STREAM.INFO.{stream}",
        f"$JS.API.STREAM.MSG.GET.{stream}",
        f"$JS.API.DIRECT.GET.{stream}.>",
        f"$JS.API.CONSUMER.CREATE.{stream}",
        f"$JS.API.CONSUMER.CREATE.{stream}.>",
        f"$JS.API.CONSUMER.INFO.{stream}.*",
        f"$JS.API.CONSUMER.DELETE.{stream}.*",
        f"$JS.FC.{stream}.>",
    }


def _provisioner() -> Permissions:
    return Permissions(
        publish=(
            *(f"$JS.API.STREAM.{verb}.*" for verb in ("CREATE", "UPDATE", "DELETE", "PURGE")),
            "$JS.API.CONSUMER.CREATE.>",
            "$JS.API.CONSUMER.DURABLE.CREATE.*.*",
            "$JS.API.CONSUMER.DELETE.*.*",
            *_looking(),
        ),
        subscribe=(inbox(PROVISIONER),),
    )


def _ops() -> Permissions:
    return Permissions(publish=_looking(), subscribe=(inbox(OPS),))


def _looking() -> tuple[str, ...]:
    return (
        "$JS.API.INFO",
        "$JS.API.STREAM.INFO.*",
        "$JS.API.STREAM.LIST",
        "$JS.API.STREAM.NAMES",
        "$JS.API.CONSUMER.INFO.*.*",
        "$JS.API.CONSUMER.LIST.*",
        "$JS.API.CONSUMER.NAMES.*",
    )


def key_variable(user: str) -> str:
    """The variable that holds a user's public key, set in the server's environment."""
    return f"NATS_NKEY_{user.upper().replace('-', '_')}"


def configuration() -> str:
    """The part of the server's configuration that says who may do what."""
    lines = [
        "# Who may do what at the broker, deny by default. Written by `make generate` from the",
        "# contracts registry; a test compares, another tries it on a real server.",
        "# Each $NATS_NKEY_... is the public key of a user, from the environment of the server.",
        "",
        "accounts {",
        f"  {ACCOUNT} {{",
        "    jetstream: enabled",
        "    users: [",
    ]
    for user, permissions in users().items():
        lines += [
            "      {",
            f"        # {user}",
            f"        nkey: ${key_variable(user)}",
            "        permissions {",
            *_allow("publish", permissions.publish),
            *_allow("subscribe", permissions.subscribe),
            "        }",
            "      }",
        ]
    return "\n".join([*lines, "    ]", "  }", "  SYS {}", "}", "system_account: SYS", ""])


def _allow(direction: str, subjects: Iterable[str]) -> list[str]:
    return [
        f"          {direction} {{ allow: [",
        *(f'            "{subject}"' for subject in subjects),
        "          ] }",
    ]


if __name__ == "__main__":
    sys.stdout.write(configuration())
