"""Which errors a service's rules can raise, to compare with its table of problems."""

import inspect
from types import ModuleType


def errors_of(*modules: ModuleType) -> set[type[Exception]]:
    """The exceptions these modules define themselves."""
    found: set[type[Exception]] = set()
    for module in modules:
        members = inspect.getmembers(module, inspect.isclass)
        own = {kind for _, kind in members if kind.__module__ == module.__name__}
        found |= {kind for kind in own if issubclass(kind, Exception)}
    return found
