"""Who may talk to whom: every edge is written at both ends, and there is no other."""

import ipaddress
from typing import Any

import pytest

ADDRESSES_NEVER_MEANT = ("10.1.2.3", "127.0.0.1", "169.254.169.254", "172.16.0.1", "192.168.1.1")


def named_peers(rules: list[dict[str, Any]], direction: str) -> set[str]:
    return {
        peer["podSelector"]["matchLabels"]["app.kubernetes.io/name"]
        for rule in rules
        for peer in rule[direction]
        if "podSelector" in peer
    }


def one_sided(calls: dict[str, set[str]], called: dict[str, set[str]]) -> list[str]:
    """Edges that only one of the two charts knows."""
    out = {(a, b) for a, others in calls.items() for b in others}
    into = {(a, b) for b, others in called.items() for a in others}
    return sorted(f"{a} -> {b}" for a, b in out ^ into)


@pytest.fixture(scope="module")
def policies(releases, only) -> dict[str, dict[str, Any]]:
    return {name: only(objects, "NetworkPolicy")["spec"] for name, objects in releases.items()}


def test_everything_is_refused_unless_it_is_named(policies) -> None:
    for name, policy in policies.items():
        assert policy["policyTypes"] == ["Ingress", "Egress"], name
        for rule in policy["ingress"]:
            assert all(rule.get(key) for key in ("from", "ports")), f"{name}: an open rule"
        for rule in policy["egress"]:
            assert all(rule.get(key) for key in ("to", "ports")), f"{name}: an open rule"


def test_every_edge_is_known_at_both_ends(policies) -> None:
    """An edge at one end only is a time-out in production and works in every test."""
    calls = {name: named_peers(policy["egress"], "to") for name, policy in policies.items()}
    called = {name: named_peers(policy["ingress"], "from") for name, policy in policies.items()}
    assert one_sided(calls, called) == []


def test_a_one_sided_edge_would_be_seen() -> None:
    assert one_sided({"a": {"b"}, "b": set()}, {"a": {"b"}, "b": {"a"}}) == ["b -> a"]


def test_services_meet_only_through_the_gateway_and_the_broker(policies) -> None:
    for name, policy in policies.items():
        if name != "auth-gateway":
            assert named_peers(policy["egress"], "to") == {"auth-gateway"}


def test_only_those_that_fetch_reach_the_internet(policies) -> None:
    blocks = {
        name: [
            peer["ipBlock"] for rule in policy["egress"] for peer in rule["to"] if "ipBlock" in peer
        ]
        for name, policy in policies.items()
    }
    assert {name for name, found in blocks.items() if found} == {"crawler", "track-unfurl"}
    for block in blocks["crawler"]:
        excepted = [ipaddress.ip_network(entry) for entry in block["except"]]
        network = ipaddress.ip_network(block["cidr"])
        assert all(entry.subnet_of(network) for entry in excepted)


@pytest.mark.parametrize("address", ADDRESSES_NEVER_MEANT)
def test_the_internet_does_not_include_our_own_network(policies, address: str) -> None:
    """The second fence behind the guarded fetcher: a page that resolves to us stays unread."""
    rules = policies["crawler"]["egress"]
    open_blocks = [peer["ipBlock"] for rule in rules for peer in rule["to"] if "ipBlock" in peer]
    for block in open_blocks:
        inside = ipaddress.ip_address(address) in ipaddress.ip_network(block["cidr"])
        excepted = any(
            ipaddress.ip_address(address) in ipaddress.ip_network(entry)
            for entry in block["except"]
        )
        assert not inside or excepted


def test_the_ingress_leads_to_the_gateway_and_the_socket_alone(releases, only) -> None:
    spec = only(releases["auth-gateway"], "Ingress")["spec"]
    assert spec["tls"] == [{"hosts": ["api.seda.fm"], "secretName": "seda-api-tls"}]
    routes = {
        path["path"]: (path["pathType"], path["backend"]["service"]["name"])
        for path in spec["rules"][0]["http"]["paths"]
    }
    # Exact: /api/v1/realtime/connect is the gateway's.
    assert routes == {
        "/api/v1/realtime": ("Exact", "chat-realtime"),
        "/": ("Prefix", "auth-gateway"),
    }


def test_every_port_of_the_ingress_exists_and_admits_it(releases, policies, only) -> None:
    for path in only(releases["auth-gateway"], "Ingress")["spec"]["rules"][0]["http"]["paths"]:
        backend = path["backend"]["service"]
        ports = only(releases[backend["name"]], "Service")["spec"]["ports"]
        assert backend["port"]["name"] in {port["name"] for port in ports}
        admitted = {
            port["port"]
            for rule in policies[backend["name"]]["ingress"]
            for peer in rule["from"]
            if peer.get("namespaceSelector", {}).get("matchLabels")
            == {"kubernetes.io/metadata.name": "ingress-nginx"}
            for port in rule["ports"]
        }
        assert admitted == {backend["port"]["name"]}


def test_metrics_are_for_the_monitoring_namespace(policies) -> None:
    for name, policy in policies.items():
        sources = [
            rule["from"] for rule in policy["ingress"] if rule["ports"] == [{"port": "metrics"}]
        ]
        selector = {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}
        assert sources == [[{"namespaceSelector": selector}]], name
