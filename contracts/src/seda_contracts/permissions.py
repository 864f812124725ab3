"""What each service may do at the broker: read from the registry, everything else is refused.

`python -m seda_contracts.permissions > infra/nats/permissions.conf`; `make generate` does it. The
file names the variables that hold the users' public keys; it holds no key itself. With
`--second-key crawler` that service may log in by NATS_NKEY_CRAWLER_NEXT too, while keys change.

The server holds publish and subscribe against a user's lists, but not the reply subject of a
request: it delivers what JetStream answers wherever in the account the user asks for. So a service
has an account of its own, which reaches the platform's streams by its imports and nothing else.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from seda_contracts import registry
from seda_contracts.live import (
    AUTHOR_SUBJECT,
    EVERY_ROOM_SUBJECT,
    EVERY_USER_SUBJECT,
    NODE_SUBJECT,
)
from seda_contracts.registry import REGISTRY, Reader, consumed_by, durable_name, produced_by
from seda_contracts.streams import BUCKETS, NETS, STREAMS

ACCOUNT = "SEDA"
"""Holds the streams."""
EXPORTS = (
    '{service: "seda.>"}',
    '{service: "$JS.ACK.>"}',
    '{service: "$JS.API.CONSUMER.MSG.NEXT.>", response_type: stream}',
)
"""What other accounts of this file may import. None does that is not written here."""
PROVISIONER = "provisioner"
"""Makes streams and durable consumers: the migration Jobs, never a serving process."""
OPS = "ops"
"""A person who looks: at streams, consumers and messages, stored or passing. Changes nothing."""
OPERATOR = "operator"
"""A person who repairs: looks, gives a dead letter back to its subject, deletes it then; stops a
consumer for a while.
"""
DURABLE = ("seda.evt.>", "seda.cmd.>", "seda.state.>")
"""What is kept in streams and may have become a dead letter."""
LIVE = {"chat-realtime": (EVERY_ROOM_SUBJECT, EVERY_USER_SUBJECT, AUTHOR_SUBJECT, NODE_SUBJECT)}
"""Who speaks and listens on the live subjects."""


class Permissions(msgspec.Struct, frozen=True, kw_only=True):
    """Subjects a user may publish and subscribe to. Neither is ever empty: empty means all."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    account: str = ACCOUNT

    def imports(self) -> set[str]:
        """What it says to the platform's account; what it also hears stays in its own."""
        return set(self.publish) - set(self.subscribe)


def services() -> tuple[str, ...]:
    """Whoever produces or consumes, in alphabetical order."""
    consumers = {name.partition(".")[0] for entry in REGISTRY for name in entry.consumers}
    return tuple(sorted(consumers | {name for entry in REGISTRY for name in entry.producers}))


def users() -> dict[str, Permissions]:
    """Every user: the services, who reads from outside, and the three that are neither."""
    return {
        **{service: of_service(service) for service in services()},
        **{reader.name: of_reader(reader) for reader in registry.READERS},
        PROVISIONER: _provisioner(),
        OPS: _ops(),
        OPERATOR: _operator(),
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
    buckets = [bucket.name for bucket in BUCKETS if bucket.service == service]
    for bucket in buckets:
        publish |= _bucket(bucket)
    return Permissions(
        publish=tuple(sorted(publish)),
        subscribe=tuple(sorted({*live, inbox(service)})),
        # The client reaches a bucket by the administration of streams, which no import carries.
        account=ACCOUNT if buckets else service.upper().replace("-", "_"),
    )


def of_reader(reader: Reader) -> Permissions:
    """Ask for the next message of its own durable consumer, and answer for it."""
    return Permissions(
        publish=(
            f"$JS.ACK.{reader.stream.name}.{reader.name}.>",
            f"$JS.API.CONSUMER.MSG.NEXT.{reader.stream.name}.{reader.name}",
        ),
        subscribe=(inbox(reader.name),),
        account=reader.name.upper(),
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
    return Permissions(
        publish=(*_looking(), *_reading()), subscribe=(*DURABLE, "seda.dlq.>", inbox(OPS))
    )


def _operator() -> Permissions:
    deleting = (f"$JS.API.STREAM.MSG.DELETE.{stream}" for stream in NETS)
    return Permissions(
        publish=(
            *_looking(),
            *_reading(),
            *deleting,
            *DURABLE,
            "$JS.API.CONSUMER.PAUSE.*.*",
        ),
        subscribe=(*DURABLE, "seda.dlq.>", inbox(OPERATOR)),
    )


def _reading() -> tuple[str, ...]:
    """Stored messages of the declared streams one by one: neither a consumer nor a bucket."""
    words = ("STREAM.MSG.GET.{0}", "DIRECT.GET.{0}", "DIRECT.GET.{0}.>")
    return tuple(f"$JS.API.{word.format(stream.name)}" for stream in STREAMS for word in words)


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


def seed_variable(user: str) -> str:
    """The variable that holds a user's private key wherever several users' are kept together."""
    return key_variable(user).replace("NKEY", "NKEY_SEED", 1)


def configuration(users: Mapping[str, Permissions]) -> str:
    """The part of the server's configuration that says who may do what."""
    lines = [
        "# Who may do what at the broker, deny by default. Written by `make generate` from the",
        "# contracts registry; a test compares, another tries it on a real server.",
        "# Each $NATS_NKEY_... is the public key of a user, from the environment of the server",
        "# or from a line above this part.",
        "",
        "accounts {",
    ]
    for account in sorted({user.account for user in users.values()}):
        lines += _account(account, {n: u for n, u in users.items() if u.account == account})
    return "\n".join([*lines, "  SYS {}", "}", "system_account: SYS", ""])


def _account(name: str, users: Mapping[str, Permissions]) -> Iterator[str]:
    yield f"  {name} {{"
    if name == ACCOUNT:
        yield "    jetstream: enabled"
        yield from _list("exports", EXPORTS)
    else:
        imports = sorted(set().union(*(user.imports() for user in users.values())))
        yield from _list(
            "imports",
            (f'{{service: {{account: {ACCOUNT}, subject: "{subject}"}}}}' for subject in imports),
        )
    yield "    users: ["
    for user, permissions in users.items():
        yield "      {"
        yield f"        # {user}"
        yield f"        nkey: ${key_variable(user)}"
        yield "        permissions {"
        yield from _allow("publish", permissions.publish)
        yield from _allow("subscribe", permissions.subscribe)
        yield "        }"
        yield "      }"
    yield "    ]"
    yield "  }"


def _list(name: str, rows: Iterable[str]) -> Iterator[str]:
    yield f"    {name}: ["
    yield from (f"      {row}" for row in rows)
    yield "    ]"


def _allow(direction: str, subjects: Iterable[str]) -> Iterator[str]:
    yield f"          {direction} {{ allow: ["
    yield from (f'            "{subject}"' for subject in subjects)
    yield "          ] }"


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="seda_contracts.permissions", description=__doc__)
    parser.add_argument("--second-key", metavar="USER", choices=users(), help="one user, two keys")
    user = parser.parse_args(arguments).second_key
    everybody = users()
    if user is not None:
        everybody[f"{user}-next"] = everybody[user]
    sys.stdout.write(configuration(everybody))


if __name__ == "__main__":
    main(sys.argv[1:])
