"""Who listens where in this run, and the environment that tells each service so."""

import json
import os
from dataclasses import dataclass

from seda_demosites import HOSTS, resolver_override
from seda_testkit.provision import RoleUrls, role_urls

from seda_devrunner.checkout import Secrets, Service, StateFolder
from seda_devrunner.ports import choose_port, free_port
from seda_devrunner.supervision import Program

DEVELOPMENT_LIMITS = {
    "RATE_LIMIT_DEFAULT_REQUESTS_MAX": "100000",
    "RATE_LIMIT_MAX_REQUESTS": "100000",
    "CRAWLER_HOST_INTERVAL_MS": "100",
}
"""One machine plays all listeners here; set the real values in the environment to try them."""

SOCKET_PATH = "/api/v1/realtime"


@dataclass(frozen=True, slots=True)
class Ports:
    http: int
    metrics: int
    socket: int | None


@dataclass(frozen=True, slots=True)
class Wiring:
    """Addresses and logins of one run; never changes while it lasts."""

    services: tuple[Service, ...]
    ports: dict[str, Ports]
    demosites_port: int
    databases: dict[str, RoleUrls]
    nats_url: str
    secrets: Secrets
    state: StateFolder

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
            for service in self.services
            if self.ports[service.name].http != service.port
        ]


def wire(
    services: tuple[Service, ...],
    *,
    admin_url: str,
    nats_url: str,
    secrets: Secrets,
    state: StateFolder,
) -> Wiring:
    ports = {
        service.name: Ports(
            http=choose_port(service.port),
            metrics=choose_port(service.metrics_port),
            socket=choose_port(service.socket_port) if service.socket_port else None,
        )
        for service in services
    }
    databases = {
        service.name: role_urls(admin_url, service.schema, secrets.passwords)
        for service in services
    }
    return Wiring(services, ports, free_port(), databases, nats_url, secrets, state)


def demosites_program(wiring: Wiring) -> Program:
    pages = wiring.state.path / "demosites.json"
    options = ("--port", str(wiring.demosites_port), "--state", str(pages))
    return Program(
        name="demosites",
        arguments=("-m", "seda_demosites", *options),
        url=wiring.demosites_url,
        ready_url=f"{wiring.demosites_url}/robots.txt",
        ready_host=HOSTS[0],
        env=dict(os.environ),
    )


def service_program(service: Service, wiring: Wiring) -> Program:
    return Program(
        name=service.name,
        arguments=("-m", service.package, "serve"),
        url=wiring.url(service.name),
        ready_url=f"{wiring.url(service.name)}/readyz",
        env=service_environment(service, wiring),
    )


def migrate_environment(service: Service, wiring: Wiring) -> dict[str, str]:
    """Only this one knows the owner's login; a serving process never does."""
    owner_url = wiring.databases[service.name].owner_url
    return dict(os.environ) | {"DATABASE_OWNER_URL": owner_url, "NATS_URL": wiring.nats_url}


def service_environment(service: Service, wiring: Wiring) -> dict[str, str]:
    """The person's own environment (LOG_LEVEL and the like), with this run's addresses on top."""
    ports = wiring.ports[service.name]
    env = {
        "ENV": "development",
        "HOST": "127.0.0.1",
        "PORT": str(ports.http),
        "METRICS_PORT": str(ports.metrics),
        "DATABASE_URL": wiring.databases[service.name].app_url,
        "NATS_URL": wiring.nats_url,
        "GATEWAY_URL": wiring.gateway_url,
    }
    socket_port = wiring.ports["chat-realtime"].socket
    match service.name:
        case "auth-gateway":
            env |= {
                f"{other.package.upper()}_URL": wiring.url(other.name)
                for other in wiring.services
                if other.name != service.name
            }
            env["REALTIME_URL"] = f"ws://127.0.0.1:{socket_port}{SOCKET_PATH}"
            env["ADMIN_API_KEY"] = wiring.secrets.admin_api_key
            env["AUTH_KEYSET_DIR"] = str(wiring.state.path / "keys")
            env["CORS_ORIGINS"] = ",".join(_browser_origins(wiring))
        case "chat-realtime":
            env["SOCKET_PORT"] = str(socket_port)
            env["SOCKET_ORIGINS"] = ",".join(_browser_origins(wiring))
        case "track-unfurl" | "crawler":
            override = resolver_override(wiring.demosites_port)
            env["FETCH_RESOLVER_OVERRIDE"] = json.dumps(override)
    kept = {name: value for name, value in os.environ.items() if name != "DATABASE_OWNER_URL"}
    return DEVELOPMENT_LIMITS | kept | env


def _browser_origins(wiring: Wiring) -> tuple[str, ...]:
    """Pages the gateway serves itself, and the usual address of a web client being developed."""
    port = wiring.ports["auth-gateway"].http
    return (f"http://127.0.0.1:{port}", f"http://localhost:{port}", "http://localhost:3000")
