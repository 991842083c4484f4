"""
Say what every environment variable means that is not one service's own.

A test reads the code for names and fails when one is not here, or one here is nowhere read.
"""

import re
from dataclasses import dataclass

PREFIX = re.compile(r"[a-z][a-z0-9]{0,40}")
"""What a platform's prefix can be: without a hyphen, so that no name can be read as one of another platform's."""

_EVERY_SERVICE = "Every service"
_KAFKA = "The way to Kafka"
_HERE = "This machine: `seamwork` and `make`"
_AGENT = "An agent"
_COMPOSE = "`deploy/compose.yaml`, from `platform.env`"


@dataclass(frozen=True)
class Variable:
    """One variable: its *group* on the page, what holds *default* where it is not set, its *meaning*."""

    group: str
    name: str
    default: str
    meaning: str


VARIABLES: tuple[Variable, ...] = (
    Variable(_HERE, "SEAMWORK_HOME", "the user's data folder", "where platforms keep their data, a folder each"),
    Variable(_HERE, "SEAMWORK_PLATFORM", "`default`", "which of the machine's platforms is meant, as `--platform`"),
    Variable(_HERE, "SEAMWORK_BROKER", "the ladder", "insist on a rung: `docker` or `embedded`"),
    Variable(
        _HERE, "SEAMWORK_MAVEN_REPOSITORY", "Maven Central",
        "where the embedded Kafka's jars come from; the lock decides what is accepted",
    ),
    Variable(
        _HERE, "SEAMWORK_AUDIT_URL", "none",
        "where the pages of the audit sink are, for a platform that runs past this machine",
    ),
    Variable(_KAFKA, "KAFKA_BOOTSTRAP_SERVERS", "must be set for a service", "`host:port`, or several with commas"),
    Variable(_KAFKA, "SEAMWORK_KAFKA_SECURITY_PROTOCOL", "`SASL_SSL`", "as Kafka names it"),
    Variable(_KAFKA, "SEAMWORK_KAFKA_SASL_MECHANISM", "`SCRAM-SHA-512`", "as Kafka names it"),
    Variable(_KAFKA, "SEAMWORK_KAFKA_SASL_USERNAME", "", "the principal"),
    Variable(_KAFKA, "SEAMWORK_KAFKA_SASL_PASSWORD_FILE", "", "a file with its password, private"),
    Variable(_KAFKA, "SEAMWORK_KAFKA_SASL_PASSWORD", "", "the password itself, where there is no file"),
    Variable(_KAFKA, "SEAMWORK_KAFKA_CA_FILE", "the system's", "certificates to trust"),
    Variable(_EVERY_SERVICE, "SEAMWORK_PLATFORM_ID", "must be set", "the platform's id; every signature covers it"),
    Variable(_EVERY_SERVICE, "SEAMWORK_ROOT_PUBLIC_KEY", "must be set", "the pinned root key, base64"),
    Variable(_EVERY_SERVICE, "SEAMWORK_PREFIX", "`seamwork`", "begins topics, groups and principals"),
    Variable(
        _EVERY_SERVICE, "SEAMWORK_SIGNING_KEY_FILE", "none",
        "an Ed25519 seed as base64, its id on a second line; refused while others can read it",
    ),
    Variable(_EVERY_SERVICE, "SEAMWORK_SIGNING_KID", "the file's name", "the key's id where its file has none"),
    Variable(_EVERY_SERVICE, "SEAMWORK_INSTANCE", "host and process id", "unique among running processes"),
    Variable(_EVERY_SERVICE, "SEAMWORK_HTTP_HOST", "`127.0.0.1`", "where health, metrics and pages are shown"),
    Variable(_EVERY_SERVICE, "SEAMWORK_HTTP_PORT", "any free one", "the same"),
    Variable(_EVERY_SERVICE, "SEAMWORK_LOG_LEVEL", "`info`", "`debug`, `info`, `warning`, `error`"),
    Variable(_EVERY_SERVICE, "SEAMWORK_PARENT_PID", "none", "end when this process does"),
    Variable(_EVERY_SERVICE, "SEAMWORK_GATE", "the service's own", "the name of a further gate that it runs as"),
    Variable(_AGENT, "SEAMWORK_AGENT_SETTINGS", "see the guide, `agents.md`", "the file that says what follows"),
    Variable(_AGENT, "SEAMWORK_AGENT_NAME", "the program's", "the agent's name"),
    Variable(_AGENT, "SEAMWORK_AGENT_KEY_FILE", "", "its private key, one line, an Ed25519 seed as base64"),
    Variable(_AGENT, "SEAMWORK_AGENT_KID", "must be set", "the key's id"),
    Variable(_AGENT, "SEAMWORK_AGENT_ROUTER_KEYS", "must be set", "the router's keys, `kid=base64`, with commas"),
    Variable(_AGENT, "SEAMWORK_AGENT_CONCURRENCY", "16", "how many functions may compute at once"),
    Variable(_AGENT, "SEAMWORK_AGENT_HEARTBEAT_MS", "5,000", "how often the agent says that it lives"),
    Variable(_AGENT, "SEAMWORK_AGENT_GRACE_S", "20", "how long its functions may finish when it is told to stop"),
    Variable(_COMPOSE, "SEAMWORK_PRIVATE", "must be set", "the folder that `seamwork deploy identity` wrote"),
    Variable(_COMPOSE, "SEAMWORK_USER", "must be set", "who runs the containers: `uid:gid` of its owner"),
)  # fmt: skip

SERVICES = (
    "contract-validator",
    "policy-engine",
    "cost-cap",
    "approval-workflow",
    "router",
    "audit-sink",
    "notifier",
)
"""
Our services, in the order in which a crossing meets them.

The variables of each begin with its name, and may be set where it is not installed.
"""
