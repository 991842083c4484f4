"""
Write `docs/generated` and the schemas: ``python -m seamwork.cli.pages DOCS CONTRACTS``, which `make docs` calls.

*CONTRACTS* is the folder with ``documents`` and ``wire``; without it the pages alone are written. This
stands above the rooms that it shows; the pages themselves are made in ``seamwork.platform.pages``.
"""

import json
import re
import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import Any, Literal

import click
from prometheus_client import Counter

from seamwork.agent import meters
from seamwork.broker.principal import SERVICES
from seamwork.broker.topics import load_topic_specs
from seamwork.cli import seamwork
from seamwork.contracts.report import page as findings_page
from seamwork.deploy.alerts import alerts as alerts_for
from seamwork.documents.schemas import schema_text
from seamwork.documents.schemas import schemas as of_documents
from seamwork.platform.asyncapi import asyncapi
from seamwork.platform.pages import alerts, commands, metrics, rules, settings, topology
from seamwork.platform.rulebook import Rule, rules_in
from seamwork.records.schemas import schemas as of_records
from seamwork.runtime.metrics import METRICS, Metric
from seamwork.runtime.spec import Service
from seamwork.settings.variables import VARIABLES

_LABEL = re.compile(r"\{\{ \$(?:labels\.)?(\w+) \}\}")
_LIBRARY = Path(__file__).parents[1]
# Which checks are shared, and where they stand: in a room, or in a file of one.
_SHARED = {
    "Records that cannot be read": "records",
    "Stamps": "grants",
    "Payloads": "contracts",
    "Answers of people": "catalog/replies.py",
    "Gates of one's own": "gate",
}


def pages() -> dict[str, str]:
    """Return file name → content of every page."""
    specs = load_topic_specs()
    services = _services()
    own = {service.name: _rules_of(service) for service in services}
    shared = {title: rules_in([_LIBRARY / place]) for title, place in _SHARED.items()}
    described = asyncapi(specs, services, version("seamwork"))
    told = [
        (one.name, one.severity, one.lasting, _LABEL.sub(r"{\1}", one.summary), one.mend)
        for one in alerts_for([service.name for service in services])
    ]
    return {
        "alerts.md": alerts(told),
        "asyncapi.json": json.dumps(described, indent=2, ensure_ascii=False) + "\n",
        "cli.md": commands(seamwork, "seamwork"),
        "findings.md": findings_page(),
        "metrics.md": metrics(METRICS, agent_metrics()),
        "rules.md": rules({name: found for name, found in own.items() if found}, shared),
        "settings.md": settings(VARIABLES, services),
        "topology.md": topology(specs, services),
    }


def _services() -> list[Service[Any]]:
    points = {point.name: point for point in entry_points(group="seamwork.services")}
    return [points[name].load() for name in SERVICES]


def _rules_of(service: Service[Any]) -> tuple[Rule, ...]:
    file = import_module(service.build.__module__).__file__
    return rules_in([Path(file).parent]) if file else ()


def agent_metrics() -> list[Metric]:
    """Return what an agent counts, described as a service's metrics are."""
    found = []
    for made in (meters.RECORDS, meters.DISPATCHES, meters.SUSPECTS, meters.STAGES):
        (described,) = made.describe()
        kind: Literal["counter", "histogram"] = "counter" if isinstance(made, Counter) else "histogram"
        labels = tuple(made._labelnames)  # noqa: SLF001  # the client says them nowhere else
        found.append(Metric(described.name, kind, described.documentation + ".", labels))
    return found


def main() -> None:
    """Write the files that differ and say which."""
    docs, *contracts = map(Path, sys.argv[1:])
    _write(docs, pages())
    for folder in contracts:
        _write(folder / "documents", {name: schema_text(one) for name, one in of_documents().items()})
        _write(folder / "wire", of_records())


def _write(folder: Path, files: Mapping[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            click.echo(f"wrote {path}")


if __name__ == "__main__":
    main()
