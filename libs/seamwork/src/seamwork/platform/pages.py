"""
Write the reference pages of `docs/generated` from the things themselves: pure text from data.

Whoever calls gives the topic files, the services' descriptions, the metrics, the rules and the commands, so that a
page cannot say anything else than the code does. `make docs` writes them, and a test fails when one is stale.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click
import msgspec

from seamwork.broker.topics import TopicSpec
from seamwork.platform.rulebook import Rule
from seamwork.runtime.metrics import Metric
from seamwork.runtime.spec import Service
from seamwork.settings.environment import variable_prefix
from seamwork.settings.variables import Variable

_NOTE = "Written by `make docs`; do not edit.\n"
_WIDTH = 100
_PATH_OF_WORK = ("handoffs.v1", "verdicts.{gate}.v1", "decisions.v1", "inbox.{agent}.v1")
_DOCUMENTS = ("contracts.v1", "registry.v1", "policies.v1")
_WORDS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}


def topology(specs: Sequence[TopicSpec], services: Sequence[Service[Any]]) -> str:
    """Write who writes and who reads each topic, as pictures and as tables."""
    rows = [
        [f"`{s.name}`", s.key, _partitions(s), _roles(s.writers), _roles(s.readers), ", ".join(s.records)]
        for s in specs
    ]
    own = [[s.name, _ticked(s.reads), _ticked(s.writes)] for s in services]
    path = [spec for name in _PATH_OF_WORK for spec in specs if spec.name == name]
    others = [spec for spec in specs if spec not in path]
    parts = ["# Topology", _NOTE.rstrip(), _TOPOLOGY_INTRO]
    parts += ["## The path of work", f"```\n{_lines(path)}\n```", f"```mermaid\n{_mermaid(specs)}\n```"]
    parts += ["## Every topic", f"```\n{_lines(others)}\n```"]
    parts.append(_table(["topic", "key", "partitions", "writers", "readers", "records"], rows))
    parts += ["## Every service", _SERVICES_INTRO, _table(["service", "reads", "writes"], own)]
    return _joined(parts)


def settings(common: Sequence[Variable], services: Sequence[Service[Any]]) -> str:
    """Write every environment variable: what all share first, then each service's own."""
    parts = ["# Settings", _NOTE.rstrip(), _SETTINGS_INTRO]
    for group in dict.fromkeys(variable.group for variable in common):
        rows = [[f"`{v.name}`", v.default, v.meaning] for v in common if v.group == group]
        parts += [f"## {group}", _table(["variable", "unless set", "meaning"], rows)]
    parts.append("## One service's own")
    for service in services:
        rows = [_setting(service.name, field) for field in msgspec.structs.fields(service.settings)]
        table = _table(["variable", "unless set", "bounds", "meaning"], rows)
        parts += [f"### {service.name}", table if rows else "None."]
    return _joined(parts)


def metrics(services: Sequence[Metric], agents: Sequence[Metric]) -> str:
    """Write the names, kinds and labels of the metrics."""
    head = ["name", "kind", "labels", "meaning"]
    parts = ["# Metrics", _NOTE.rstrip(), _METRICS_INTRO]
    parts += ["## Services", _table(head, [_metric(metric) for metric in services])]
    parts += ["## Agents", _AGENTS_INTRO, _table(head, [_metric(metric) for metric in agents])]
    return _joined(parts)


def alerts(rows: Iterable[Sequence[str]]) -> str:
    """Write what Prometheus is to tell: name, severity, for how long it must last, what it says, what to do."""
    head = ["alert", "severity", "lasts", "what it says", "what to do"]
    named = [[f"`{row[0]}`", *row[1:]] for row in rows]
    return _joined(["# Alerts", _NOTE.rstrip(), _ALERTS_INTRO, _table(head, named)])


def rules(of_services: Mapping[str, Sequence[Rule]], shared: Mapping[str, Sequence[Rule]]) -> str:
    """Write the rules that a verdict, a decision or a dead letter can name."""
    parts = ["# Rules", _NOTE.rstrip(), _RULES_INTRO]
    for name, found in of_services.items():
        parts += [f"## {name}", _rules(found)]
    parts.append("## What several answer with")
    for title, found in shared.items():
        parts += [f"### {title}", _rules(found)]
    return _joined(parts)


def commands(root: click.Group, name: str) -> str:
    """Write the help of every command, as the terminal shows it."""
    parts = ["# Commands", _NOTE.rstrip(), _COMMANDS_INTRO]
    for path, command in _walk(root, name):
        # As the root's own context says it; click keeps what the first one who asks has said.
        context = click.Context(
            command,
            info_name=path,
            terminal_width=_WIDTH,
            max_content_width=_WIDTH,
            help_option_names=["-h", "--help"],
        )
        parts += [f"## {path}", f"```\n{command.get_help(context)}\n```"]
    return _joined(parts)


_TOPOLOGY_INTRO = """\
From `contracts/topics` and from what each service says of itself. A topic's name on the wire begins with the
platform's prefix. Who may do what at the broker is made from the same files."""

_SERVICES_INTRO = """\
Besides these, each service reads the documents and writes its heartbeats, and a machine writes and reads its own
journal and snapshots."""

_SETTINGS_INTRO = """\
Everything is read once, at start, and a name that nobody knows is an error with a suggestion. `seamwork up` sets
what belongs to the platform and passes a service's own variables on from the environment it was called in."""

_METRICS_INTRO = """\
Every service shows its own under `/metrics` of the address that `seamwork status` names. A counter's name ends in
`_total`; a histogram has `_bucket`, `_sum` and `_count`."""

_ALERTS_INTRO = """\
What `deploy/prometheus/alerts.yaml` has Prometheus tell. *page*: work stands still, or is about to; *ticket*: it
can wait for the morning. *lasts* is for how long it must hold before anybody is told."""

_AGENTS_INTRO = """\
An agent keeps them in the process's default registry; show them with what the agent's program uses."""

_RULES_INTRO = """\
A rule is stable: programs may compare it. The reason beside it is for people, names fields and never values, and
may change; `…` stands for what is known only when it is said. Read from the code. Besides these, a policy answers
with `<policy>/<rule>`, and a contract with `rule:<name>`: names that people wrote."""

_COMMANDS_INTRO = """\
Exit status: 0 done; 1 the answer is no; 2 could not run. As of other programs, 130 says that it was
interrupted, 141 that whoever read the answer had gone (`seamwork trace TASK | head`). With `--json` the answer
is one JSON value on standard output, and messages go to standard error."""


def _walk(command: click.Command, path: str) -> Iterable[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None:
                yield from _walk(inner, f"{path} {name}")


def _joined(parts: Iterable[str]) -> str:
    return "\n\n".join(parts) + "\n"


def _lines(specs: Sequence[TopicSpec]) -> str:
    """Draw one line a topic: who writes ──▶ topic ──▶ who reads, readers below each other where there are many."""
    writers = max(len(", ".join(map(_role, s.writers))) for s in specs)
    names = max(len(s.name) for s in specs)
    drawn: list[str] = []
    for spec in specs:
        first = f"{', '.join(map(_role, spec.writers)):>{writers}} ──▶ {spec.name:<{names}} ──▶ "
        line = first
        for number, reader in enumerate(map(_role, spec.readers)):
            word = reader if number == 0 else f", {reader}"
            if len(line) + len(word) > _WIDTH:
                drawn.append(line + ",")
                line, word = " " * len(first), reader
            line += word
        drawn.append(line)
    return "\n".join(drawn)


def _mermaid(specs: Sequence[TopicSpec]) -> str:
    """Draw the path of work and what people say; documents, journals and heartbeats would hide it."""
    left_out = re.compile(r"journal|snapshots|heartbeats|audit\.v1|" + "|".join(map(re.escape, _DOCUMENTS)))
    lines = ["flowchart LR"]
    for spec in specs:
        if left_out.search(spec.name):
            continue
        topic = re.sub(r"[^a-z0-9]", "_", spec.name)
        lines.append(f'    {topic}[("{spec.name}")]')
        for writer in spec.writers:
            lines += [f"    {_node(one)} --> {topic}" for one in _drawn(writer)]
        for reader in spec.readers:
            if reader != "audit-sink":  # it reads them all
                lines += [f"    {topic} --> {_node(one)}" for one in _drawn(reader)]
    return "\n".join(lines)


def _drawn(role: str) -> tuple[str, ...]:
    if role == "gate:{gate}":
        return ("contract-validator", "policy-engine", "cost-cap", "approval-workflow")
    return () if role == "machine" else (role.partition(":")[0],)


def _node(name: str) -> str:
    shape = f"([{name}])" if name in {"agent", "people"} else f"[{name}]"
    return f"{re.sub(r'[^a-z0-9]', '_', name)}{shape}"


def _role(role: str) -> str:
    """Say a role in words: ``gate:{gate}`` is that gate, ``service`` every service."""
    kind, colon, _ = role.partition(":")
    if colon:
        return {"owner": "its owner"}.get(kind, f"that {kind}")
    return {"service": "every service", "agent": "every agent", "machine": "every machine"}.get(role, role)


def _roles(roles: Iterable[str]) -> str:
    return ", ".join(map(_role, roles))


def _partitions(spec: TopicSpec) -> str:
    said = {"crossing": "as handoffs", "agent": "as the agent asks", "machine": "as its inputs"}
    return said.get(str(spec.partitions), str(spec.partitions))


def _setting(service: str, field: Any) -> list[str]:
    kind, bounds, meaning = field.type, "", ""
    for meta in getattr(kind, "__metadata__", ()):
        meaning = meta.description or meaning
        bounds = ", ".join(
            f"{_WORDS[name]} {value:,}"
            for name in ("ge", "gt", "le", "lt")
            if (value := getattr(meta, name)) is not None
        )
    default = "must be set" if field.required else _value(field.default)
    variable = f"`{variable_prefix(service)}{field.encode_name.upper()}`"
    return [variable, default, bounds, meaning[:1].lower() + meaning[1:].rstrip(".")]


def _value(value: object) -> str:
    return (
        "no"
        if value is False
        else "yes"
        if value is True
        else f"{value:,}"
        if isinstance(value, int)
        else f"`{value}`"
    )


def _metric(metric: Metric) -> list[str]:
    name = f"{metric.name}_total" if metric.kind == "counter" else metric.name
    return [f"`{name}`", metric.kind, ", ".join(metric.labels), metric.help]


def _rules(found: Sequence[Rule]) -> str:
    said: dict[str, list[str]] = {}
    for rule in found:
        said.setdefault(rule.name, []).append(rule.reason)
    return _table(
        ["rule", "what is said"], [[f"`{name}`", "; or: ".join(filter(None, said[name]))] for name in said]
    )


def _ticked(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
