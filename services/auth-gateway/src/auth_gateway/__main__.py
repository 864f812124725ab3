"""serve, migrate, describe; and rotate-keys: turn the rings in AUTH_KEYSET_DIR by one step."""

import os
import sys
from pathlib import Path

from seda_messaging.command_line import run_command

from auth_gateway.app import NAME, create_app
from auth_gateway.keys.files import KeysUnusable, rotate_keys
from auth_gateway.settings import Settings


def rotate() -> None:
    try:
        keys = rotate_keys(Path(os.environ.get("AUTH_KEYSET_DIR", "")))
    except KeysUnusable as error:
        sys.exit(f"{NAME}: {error}")
    print(f"{NAME}: access tokens will be signed with {keys.access.current.kid} after a restart")


if __name__ == "__main__":
    if sys.argv[1:] == ["rotate-keys"]:
        rotate()
    else:
        run_command(
            sys.argv[1:],
            service=NAME,
            package="auth_gateway",
            settings=Settings,
            create_app=create_app,
        )
