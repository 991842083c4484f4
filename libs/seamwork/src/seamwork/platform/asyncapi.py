"""
Describe the topics and their records as an AsyncAPI 3 document, for tools that know no other language.

The records' envelopes are the JSON Schemas of `contracts/wire`, referred to and not repeated.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from seamwork.broker.topics import TopicSpec
from seamwork.runtime.spec import Service

_WIRE = "../../contracts/wire"
_BINDING = "0.5.0"
_SIGNED_BY_NOBODY = {"claim", "commit", "snapshot"}
_HEADERS = {
    "ce_specversion": "CloudEvents, binary mode: 1.0.",
    "ce_id": "Repeats the envelope's id.",
    "ce_type": "Repeats the record's type.",
    "ce_source": "Repeats who wrote it.",
    "ce_time": "The writer's instant, RFC 3339; nothing in Seamwork reads it.",
    "traceparent": "W3C trace context.",
    "sw_sig": "Ed25519 over platform id, topic, key and envelope, base64.",
    "sw_kid": "The id of the key that signed.",
}
_PARAMETERS = {"agent": "An agent's name.", "gate": "A gate's name.", "machine": "A machine's name."}


def asyncapi(specs: Sequence[TopicSpec], services: Sequence[Service[Any]], version: str) -> dict[str, Any]:
    """Return the document: a channel for each topic file, an operation for each thing a service does with one."""
    named = {spec.name: spec for spec in specs}
    operations: dict[str, Any] = {}
    for service in services:
        for action, topics in (("receive", service.reads), ("send", service.writes)):
            for topic in dict.fromkeys(topics):
                operations[f"{service.name}.{action}.{_id(topic)}"] = _operation(action, named[topic])
    records = sorted({record for spec in specs for record in spec.records})
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Seamwork",
            "version": version,
            "license": {"name": "Apache-2.0"},
            "description": "Topics are named without the platform's prefix. The body of a record is its payload's "
            "bytes and nothing else; the envelope lies in the header sw_envelope.",
        },
        "defaultContentType": "application/json",
        "channels": {_id(spec.name): _channel(spec) for spec in specs},
        "operations": operations,
        "components": {"messages": {record: _message(record) for record in records}},
    }


def _id(topic: str) -> str:
    return topic.replace("{", "").replace("}", "")


def _refer(*parts: str) -> dict[str, str]:
    return {"$ref": "#/" + "/".join(parts)}


def _channel(spec: TopicSpec) -> dict[str, Any]:
    channel: dict[str, Any] = {
        "address": spec.name,
        "description": f"Key: {spec.key}. Partition: {spec.partitioner}. Written by {_listed(spec.writers)}; "
        f"read by {_listed(spec.readers)}.",
        "messages": {record: _refer("components", "messages", record) for record in spec.records},
        "bindings": {
            "kafka": {
                "topicConfiguration": {
                    "cleanup.policy": [spec.cleanup],
                    "max.message.bytes": spec.max_message_bytes,
                },
                "bindingVersion": _BINDING,
            }
        },
    }
    if spec.placeholder is not None:
        channel["parameters"] = {spec.placeholder: {"description": _PARAMETERS[spec.placeholder]}}
    return channel


def _operation(action: str, spec: TopicSpec) -> dict[str, Any]:
    channel = _id(spec.name)
    return {
        "action": action,
        "channel": _refer("channels", channel),
        "messages": [_refer("channels", channel, "messages", record) for record in spec.records],
    }


def _message(record: str) -> dict[str, Any]:
    if record in _SIGNED_BY_NOBODY:
        return {
            "name": record,
            "summary": "A machine's own record; its form is its code's, and nobody else writes one.",
            "contentType": "application/octet-stream",
        }
    properties: dict[str, Any] = {
        name: {"type": "string", "description": meaning} for name, meaning in _HEADERS.items()
    }
    properties["sw_envelope"] = {
        "type": "string",
        "description": "One ASCII JSON object.",
        "contentMediaType": "application/json",
        "contentSchema": {"$ref": f"{_WIRE}/{record}.schema.json"},
    }
    return {
        "name": record,
        "headers": {"type": "object", "required": ["sw_envelope"], "properties": properties},
    }


def _listed(roles: Iterable[str]) -> str:
    return ", ".join(roles)
