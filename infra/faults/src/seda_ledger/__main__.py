"""`python -m seda_ledger serve | migrate | describe`, as any service."""

import asyncio
import os
import sys

from seda_messaging.command_line import run_command
from seda_runtime.settings import MigrateSettings, load

from seda_ledger.app import SERVICE, Settings, create_app
from seda_ledger.provision import provision

if __name__ == "__main__":
    arguments = sys.argv[1:]
    run_command(
        arguments,
        service=SERVICE,
        package="seda_ledger",
        settings=Settings,
        create_app=create_app,
    )
    if arguments == ["migrate"]:
        asyncio.run(provision(load(MigrateSettings, os.environ)))
