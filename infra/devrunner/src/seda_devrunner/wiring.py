"""Who listens where in this run, and the environment that tells each service so."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass

from seda_contracts.permissions import PROVISIONER
from seda_demosites import HOSTS, resolver_override
from seda_testkit.ports import free_port
from seda_testkit.provision import RoleUrls, role_urls

from seda_devrunner.checkout import Service, StateFolder
from seda_devrunner.ports import choose_port
from seda_devrunner.secret import Secrets
from seda_devrunner.supervision import Program

DEVELOPMENT_LIMITS = {
    "RATE_LIMIT_DEFAULT_REQUESTS_MAX": "100000",
    "RATE_LIMIT_MAX_REQUESTS": "100000",
    "CRAWLER_HOST_INTERVAL_MS": "100",
    "CHART_CACHE_SECONDS": "1",
}
"""One machine plays all listeners here, and whoever tries the platform does not want to wait for
the next ranking; set the real values in the environment to try them.
"""

SOCKET_PATH = "/api/v1/realtime"


@dataclass(frozen=True, slots=True)
class Ports:
    http: int
    metrics: int
    socket: int | None


@dataclass(frozen=True, slots=True)
class Backing:
    """What holds data in this run, and who may log in to it."""

    services: tuple[Service, ...]
    databases: dict[str, RoleUrls]
    nats_url: str
    nkey_seeds: Mapping[str, str]
    """The private keys of the broker's users, by user; empty where it knows none."""
    secrets: Secrets
    state: StateFolder


@dataclass(frozen=True, slots=True)
class Wiring:
    """Backing and addresses of one run; never changes while it lasts."""

    backing: Backing
    ports: dict[str, Ports]
    demosites_port: int

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name].http}"

    @property
    def gateway_url(self) -> str:
        return self.url("auth-gateway")

    @property
    def demosites_url(self) -> str:
        return f"http://127.0.0.1:{self.demosites_port}"

    def moved(self) -> list[str]:
        """What could not have the port it wished for, for the person to know."""
        return [
            f"port {service.port} is taken by another program: {service.name} is at "
            f"{self.url(service.name)}"
            for service in self.backing.services
            if self.ports[service.name].http != service.port
        ]


def back(
    services: tuple[Service, ...],
    *,
    admin_url: str,
    nats_url: str,
    nkey_seeds: Mapping[str, str],
    secrets: Secrets,
    state: StateFolder,
) -> Backing:
    databases = {
        service.name: role_urls(admin_url, service.schema, secrets.passwords)
        for service in services
    }
    return Backing(services, databases, nats_url, nkey_seeds, secrets, state)


def wire(backing: Backing, *, wished_ports: bool) -> Wiring:
    """Choose the ports. As late as possible: nothing holds them until the programs listen."""

    def choose(wished: int) -> int:
        return choose_port(wished) if wished_ports else free_port()

    ports = {
        service.name: Ports(
            http=choose(service.port),
            metrics=choose(service.metrics_port),
            socket=choose(service.socket_port) if service.socket_port is not None else None,
        )
        for service in backing.services
    }
    return Wiring(backing, ports, free_port())


def demosites_program(wiring: Wiring) -> Program:
    pages = wiring.backing.state.path / "demosites.json"
    options = ("--port", str(wiring.demosites_port), "--state", str(pages))
    return Program(
        name="demosites",
        arguments=("-m", "seda_demosites", *options),
        url=wiring.demosites_url,
        ready_url=f"{wiring.demosites_url}/robots.txt",
        ready_host=HOSTS[0],
        env=_inherited(),
    )


def service_program(service: Service, wiring: Wiring) -> Program:
    return Program(
        name=service.name,
        arguments=("-m", service.package, "serve"),
        url=wiring.url(service.name),
        ready_url=f"{wiring.url(service.name)}/readyz",
        env=service_environment(service, wiring),
    )


def migrate_environment(service: Service, backing: Backing) -> dict[str, str]:
    """Only this one knows the owner's login and the provisioner's key; a serving process never
    does.
    """
    return _inherited() | {
        "DATABASE_OWNER_URL": backing.databases[service.name].owner_url,
        **_broker_login(backing, PROVISIONER),
    }


def service_environment(service: Service, wiring: Wiring) -> dict[str, str]:
    """The person's own environment (LOG_LEVEL and the like), with this run's addresses on top."""
    ports = wiring.ports[service.name]
    env = {
        "ENV": "development",
        "HOST": "127.0.0.1",
        "PORT": str(ports.http),
        "METRICS_PORT": str(ports.metrics),
        "DATABASE_URL": wiring.backing.databases[service.name].app_url,
        "GATEWAY_URL": wiring.gateway_url,
        **_broker_login(wiring.backing, service.name),
    }
    socket_port = wiring.ports["chat-realtime"].socket
    match service.name:
        case "auth-gateway":
            env |= {
                f"{other.package.upper()}_URL": wiring.url(other.name)
                for other in wiring.backing.services
                if other.name != service.name
            }
            env["REALTIME_URL"] = f"ws://127.0.0.1:{socket_port}{SOCKET_PATH}"
            env["ADMIN_API_KEY"] = wiring.backing.secrets.admin_api_key
            env["AUTH_KEYSET_DIR"] = str(wiring.backing.state.path / "keys")
            env["CORS_ORIGINS"] = ",".join(_browser_origins(wiring))
        case "chat-realtime":
            env["SOCKET_PORT"] = str(socket_port)
            env["SOCKET_ORIGINS"] = ",".join(_browser_origins(wiring))
        case "track-unfurl" | "crawler":
            override = resolver_override(wiring.demosites_port)
            env["FETCH_RESOLVER_OVERRIDE"] = json.dumps(override)
    return DEVELOPMENT_LIMITS | _inherited() | env


def _inherited() -> dict[str, str]:
    """The person's environment without the logins of others that it may hold."""
    return {
        name: value
        for name, value in os.environ.items()
        if name != "DATABASE_OWNER_URL" and not name.startswith("NATS_NKEY_")
    }


def _broker_login(backing: Backing, user: str) -> dict[str, str]:
    login = {"NATS_URL": backing.nats_url}
    if user in backing.nkey_seeds:
        login["NATS_NKEY_SEED"] = backing.nkey_seeds[user]
    return login


def _browser_origins(wiring: Wiring) -> tuple[str, ...]:
    """Pages the gateway serves itself, and the usual address of a web client being developed."""
    port = wiring.ports["auth-gateway"].http
    return (f"http://127.0.0.1:{port}", f"http://localhost:{port}", "http://localhost:3000")
