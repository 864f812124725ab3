"""AsyncAPI 3.0 documents: one per service, seen from that service, and one of the whole system.

A channel is one type with its key as parameter; operations say who sends and who receives. What
AsyncAPI has no word for (stream, delivery class, personal data) stands in `x-` members.
"""

import inspect
from collections.abc import Sequence
from typing import Any

from seda_contracts.envelope import CONTENT_TYPE
from seda_contracts.registry import REGISTRY, Entry, consumed_by, produced_by
from seda_contracts.schema import shared_schemas

Document = dict[str, Any]
SCHEMAS = "#/components/schemas/"
KINDS = {"evt": "A fact that happened.", "cmd": "Work to be done.", "state": "The latest state."}
HEADERS = {
    "type": "object",
    "description": "CloudEvents 1.0 attributes, in binary mode.",
    "required": ["Nats-Msg-Id", "ce-specversion", "ce-id", "ce-type", "ce-source", "ce-time"],
    "properties": {
        "Nats-Msg-Id": {"type": "string", "description": "The event id; the broker drops a copy."},
        "ce-specversion": {"const": "1.0"},
        "ce-id": {"type": "string", "format": "uuid"},
        "ce-type": {"type": "string"},
        "ce-source": {"type": "string", "description": "`/seda/<service>`"},
        "ce-time": {"type": "string", "format": "date-time"},
        "ce-partitionkey": {"type": "string", "description": "The key; order holds within it."},
        "content-type": {"const": CONTENT_TYPE},
        "traceparent": {"type": "string", "description": "W3C trace context of the cause."},
    },
}


def services() -> list[str]:
    listeners = {c.partition(".")[0] for entry in REGISTRY for c in entry.consumers}
    return sorted(listeners | {name for entry in REGISTRY for name in entry.producers})


def service_document(service: str) -> Document:
    entries = [e for e in REGISTRY if e in produced_by(service) or e in consumed_by(service)]
    return _document(service, f"What {service} sends and receives.", entries, (service,))


def system_document() -> Document:
    return _document("seda", "Everything services tell each other.", REGISTRY, services())


def _document(
    title: str, description: str, entries: Sequence[Entry], seen_by: Sequence[str]
) -> Document:
    operations: dict[str, Document] = {}
    for entry in entries:
        operations |= _operations(entry, seen_by)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": title,
            "version": "1.0.0",
            "description": f"{description} Delivered at least once. Generated from the registry.",
        },
        "defaultContentType": CONTENT_TYPE,
        "servers": {
            "nats": {
                "host": "{host}",
                "protocol": "nats",
                "variables": {"host": {"default": "localhost:4222"}},
            }
        },
        "channels": {entry.contract.TYPE: _channel(entry) for entry in entries},
        "operations": operations,
        "components": {
            "messages": {entry.contract.TYPE: _message(entry) for entry in entries},
            "messageTraits": {"cloudEvent": {"headers": HEADERS}},
            "schemas": shared_schemas((e.contract for e in entries), f"{SCHEMAS}{{name}}"),
        },
    }


def _channel(entry: Entry) -> Document:
    contract, stream = entry.contract, entry.stream
    return {
        "address": f"seda.{contract.KIND}.{contract.TYPE}.{{{contract.KEY}}}",
        "description": _description(entry),
        "parameters": {contract.KEY: {"description": "The key: one subject token."}},
        "messages": {contract.TYPE: {"$ref": f"#/components/messages/{contract.TYPE}"}},
        "x-stream": stream.name,
        "x-retention": {
            "policy": "work-queue" if stream.work_queue else "limits",
            "max-age-seconds": stream.max_age_seconds,
            "latest-only": stream.latest_only,
        },
        "x-delivery-class": entry.delivery_class,
        "x-personal-data": entry.personal_data,
    }


def _description(entry: Entry) -> str:
    own = vars(entry.contract).get("__doc__")
    return inspect.cleandoc(own) if own else KINDS[entry.contract.KIND]


def _message(entry: Entry) -> Document:
    return {
        "name": entry.contract.TYPE,
        "contentType": CONTENT_TYPE,
        "traits": [{"$ref": "#/components/messageTraits/cloudEvent"}],
        "payload": {"$ref": f"{SCHEMAS}{entry.contract.__name__}"},
    }


def _operations(entry: Entry, seen_by: Sequence[str]) -> dict[str, Document]:
    """Sending and receiving of one type by the given services."""
    name = entry.contract.TYPE
    target = {
        "channel": {"$ref": f"#/channels/{name}"},
        "messages": [{"$ref": f"#/channels/{name}/messages/{name}"}],
    }
    sent = {
        f"{service}.send.{name}": {"action": "send", **target}
        for service in entry.producers
        if service in seen_by
    }
    received = {
        f"{consumer}.receive.{name}": {
            "action": "receive",
            **target,
            "x-durable-consumer": consumer.replace(".", "_"),
        }
        for consumer in entry.consumers
        if consumer.partition(".")[0] in seen_by
    }
    return sent | received
