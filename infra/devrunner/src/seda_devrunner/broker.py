"""The broker of this run knows the users the contracts print, and nobody else."""

from collections.abc import Mapping
from pathlib import Path

from seda_contracts.permissions import ACCOUNT, Permissions, configuration
from seda_messaging.broker_keys import public_keys
from seda_testkit.nats import EmbeddedNats


def guarded_nats(
    folder: Path, users: Mapping[str, Permissions], seeds: Mapping[str, str]
) -> EmbeddedNats:
    """A server in `folder` that lets in whoever holds one of the seeds."""
    adopt_streams(folder)
    return EmbeddedNats(
        folder,
        extra_config=configuration(users),
        env=public_keys({user: seeds[user] for user in users}),
    )


def adopt_streams(folder: Path) -> None:
    """Streams of a server that knew no users lie in its unnamed account; they become the
    platform's, with their messages and the places of their consumers.
    """
    accounts = folder / "store" / "jetstream"
    unnamed, ours = accounts / "$G", accounts / ACCOUNT
    if unnamed.exists() and not ours.exists():
        unnamed.rename(ours)
