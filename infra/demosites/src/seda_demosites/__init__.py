"""Invented music sites and artist pages for development and tests.

One loopback port answers for several hosts, told apart by the Host header. Services reach it
through their resolver override, so the production address guard stays on while nothing leaves the
machine.
"""

from seda_demosites.sites import HOSTS, resolver_override

__all__ = ["HOSTS", "resolver_override"]
