"""Short names of services: `chat` is chat-realtime."""

from collections.abc import Sequence
from difflib import get_close_matches

from seda_devrunner.checkout import SERVICES_FILE, Service, load_services

from seda_cli.failure import WrongUsage


def every_service() -> tuple[Service, ...]:
    return load_services(SERVICES_FILE)


def find_service(word: str, services: Sequence[Service] | None = None) -> Service:
    """By name, package or schema, or by the beginning of its name. Raises WrongUsage."""
    known = every_service() if services is None else services
    found = [s for s in known if word in (s.name, s.package, s.schema)]
    found = found or [s for s in known if word and s.name.startswith(word)]
    if len(found) == 1:
        return found[0]
    if found:
        raise WrongUsage(f"{word} may be {' or '.join(s.name for s in found)}: say which")
    names = [service.name for service in known]
    raise WrongUsage(f"no service {word}{nearest(word, names)}")


def nearest(word: str, known: Sequence[str]) -> str:
    """The end of an error about a word nobody knows: what was probably meant, or all there is."""
    close = get_close_matches(word, known, n=3)
    if close:
        return f": did you mean {' or '.join(close)}?"
    return f". There is: {', '.join(known)}"
