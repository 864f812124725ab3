"""`python -m seda_demosites --port N [--state FILE]`: serve until a signal says stop."""

import argparse
import asyncio
import json
import signal
from pathlib import Path

from seda_demosites import server
from seda_demosites.sites import HOSTS, resolver_override


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="seda_demosites", description=f"Serves {', '.join(HOSTS)}."
    )
    parser.add_argument("--port", type=int, default=0, help="0 lets the kernel choose")
    parser.add_argument("--state", type=Path, help="keeps edited pages between starts")
    options = parser.parse_args()
    asyncio.run(_serve(options.port, options.state))


async def _serve(port: int, state: Path | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    listening = await server.start(port, state)
    bound = listening.sockets[0].getsockname()[1]
    # First line, alone and flushed: whoever started us with port 0 reads it.
    print(json.dumps({"port": bound, "resolver_override": resolver_override(bound)}), flush=True)
    await stop.wait()
    listening.close()


if __name__ == "__main__":
    main()
