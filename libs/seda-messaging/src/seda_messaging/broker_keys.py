"""A key pair per user of the broker: the seed is for the user, the public key for the server.

`python -m seda_messaging.broker_keys` prints a new pair for every user as NAME=value lines;
with `--add-to FILE` a file gets the pairs it lacks and keeps the ones it holds.
"""

import argparse
import secrets
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import nkeys
from seda_contracts.permissions import key_variable, seed_variable, users


def new_seed() -> str:
    """The private half, in the form NATS_NKEY_SEED takes."""
    seed: bytes = nkeys.encode_seed(secrets.token_bytes(32), nkeys.PREFIX_BYTE_USER)
    return seed.decode()


def public_key(seed: str) -> str:
    """What the server may know. Raises nkeys errors for what is no seed."""
    public: bytes = nkeys.from_seed(seed.encode()).public_key
    return public.decode()


def public_keys(seeds: Mapping[str, str]) -> dict[str, str]:
    """The variables that permissions.conf reads, by name."""
    return {key_variable(user): public_key(seed) for user, seed in seeds.items()}


def kept_seeds(variables: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """The seeds these variables hold, by user; a user without one is left out."""
    return {user: variables[name] for user in names if variables.get(name := seed_variable(user))}


def pairs(seeds: Mapping[str, str]) -> str:
    lines = [f"{seed_variable(user)}={seed}" for user, seed in seeds.items()]
    lines += [f"{name}={public}" for name, public in public_keys(seeds).items()]
    return "".join(f"{line}\n" for line in lines)


def add_to(file: Path, names: Iterable[str]) -> list[str]:
    """Returns the users it made pairs for. Nobody else may read the file from then on."""
    file.touch()
    file.chmod(0o600)
    text = file.read_text()
    known = {line.partition("=")[0].strip() for line in text.splitlines()}
    made = {user: new_seed() for user in names if seed_variable(user) not in known}
    if made:
        separator = "" if text.endswith("\n") or not text else "\n"
        file.write_text(text + separator + pairs(made))
    return list(made)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="seda_messaging.broker_keys", description=__doc__)
    parser.add_argument("user", nargs="*", help="only these users; without any, all of them")
    parser.add_argument("--add-to", type=Path, metavar="FILE", help="add what this file lacks")
    options = parser.parse_args(arguments)
    chosen = options.user or list(users())
    if options.add_to is None:
        sys.stdout.write(pairs({user: new_seed() for user in chosen}))
    else:
        made = add_to(options.add_to, chosen)
        sys.stdout.write(f"{options.add_to}: new keys for {', '.join(made) or 'nobody'}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
