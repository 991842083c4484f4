"""What Prometheus and Grafana are told to watch: metrics that there are, in words that somebody can act on."""

import json
import re
from collections.abc import Iterator
from typing import Any

import click
import promql_parser
import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from ruamel.yaml import YAML

from seamwork.cli import seamwork
from seamwork.cli.pages import agent_metrics
from seamwork.deploy.alerts import Alert, alerts
from seamwork.deploy.dashboard import ROWS, Panel
from seamwork.deploy.installation import installed
from seamwork.runtime.metrics import METRICS, Metric

SERVICES = [service.name for service in installed()]
ALERTS = alerts(SERVICES)
SHOWN = {
    f"{one.name}_total" if one.kind == "counter" else one.name: one for one in (*METRICS, *agent_metrics())
}
PANELS = [panel for panels in ROWS.values() for panel in panels]
_TYPED = re.compile(r"`seamwork ([a-z-]+(?: [a-z-]+)*)`")
_USED = re.compile(r"\{\{ (\$\w+(?:\.\w+)?) \}\}")


def selectors(expr: str) -> Iterator[Any]:
    """Yield every place of an expression that names a metric."""
    found: list[Any] = []

    def note(node: Any) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node)

    promql_parser.walk(promql_parser.parse(expr), note)
    yield from found


def described(name: str) -> Metric:
    """Return what is said of a series; a histogram has several."""
    return SHOWN[re.sub("_(bucket|sum|count)$", "", name)]


def each(of: tuple[Alert, ...]) -> pytest.MarkDecorator:
    """Let a test hold each of them."""
    return pytest.mark.parametrize("alert", of, ids=lambda one: one.name)


def asked(panel: Panel) -> list[str]:
    """Return a panel's expressions as Prometheus is asked them: Grafana says over how long a rate is taken."""
    return [query.expr.replace("$__rate_interval", "5m") for query in panel.queries]


@pytest.mark.parametrize(
    "expr",
    [*(one.expr for one in ALERTS), *(expr for panel in PANELS for expr in asked(panel))],
)
def test_it_asks_for_metrics_and_labels_that_there_are(expr: str) -> None:
    """A rule about a name that nobody shows never holds, a panel stays empty, and nobody would know."""
    found = list(selectors(expr))

    assert found
    for one in found:
        labels = {*described(one.name).labels}
        assert {matcher.name for matcher in one.matchers.matchers} <= labels
        named = [m.value for m in one.matchers.matchers if m.name == "service"]
        assert set(named) <= set(SERVICES)


@each(ALERTS)
def test_its_words_use_what_its_expression_leaves(alert: Alert) -> None:
    """What is summed up is gone: Prometheus would write `<no value>`."""
    tree = promql_parser.parse(alert.expr)
    kept = [set(one.modifier.labels) for one in _aggregates(tree) if one.modifier is not None]
    used = {word.removeprefix("$labels.") for word in _USED.findall(alert.summary)} - {"$value"}
    shown = {label for one in selectors(alert.expr) for label in (*described(one.name).labels, "service")}
    bare = "absent(" in alert.expr or alert.expr.startswith("max(")

    assert used <= (set() if bare else kept[0] if kept else shown)


def _aggregates(tree: Any) -> list[Any]:
    found: list[Any] = []

    def note(node: Any) -> None:
        if isinstance(node, promql_parser.AggregateExpr):
            found.append(node)

    promql_parser.walk(tree, note)
    return found


@pytest.mark.parametrize(
    ("panel", "expr", "legend"),
    [
        (panel.title, expr, query.legend)
        for panel in PANELS
        for expr, query in zip(asked(panel), panel.queries, strict=True)
    ],
)
def test_a_series_is_called_by_what_its_expression_leaves(panel: str, expr: str, legend: str) -> None:
    """All the others would be called the same."""
    kept = [
        set(one.modifier.labels) for one in _aggregates(promql_parser.parse(expr)) if one.modifier is not None
    ]
    left = set.intersection(*kept) - {"le"} if kept else set()

    assert left == set(re.findall(r"\{\{(\w+)\}\}", legend)), panel


@pytest.mark.parametrize("text", [*(one.mend for one in ALERTS), *(panel.says for panel in PANELS)])
def test_it_names_commands_that_there_are(text: str) -> None:
    """Whoever is woken types them."""
    for words in _TYPED.findall(text):
        command: click.Command | None = seamwork
        for word in words.split():
            if word.startswith("--"):
                assert command is not None, words
                assert any(word in parameter.opts for parameter in command.params), words
                continue
            assert isinstance(command, click.Group), words
            command = command.get_command(click.Context(command), word)
        assert command is not None, words


def test_each_service_is_missed_and_each_name_is_one_rules() -> None:
    """Two of one name would hide each other."""
    names = [one.name for one in ALERTS]

    assert len(names) == len(set(names))
    assert {"SeamworkRouterAbsent", "SeamworkContractValidatorAbsent"} <= set(names)
    assert {"page", "ticket"} == {one.severity for one in ALERTS}


def test_the_file_is_what_prometheus_reads(rendered: dict[str, str]) -> None:
    """Groups of rules, each with what it says and what to do."""
    (file,) = YAML(typ="safe", pure=True).load_all(rendered["prometheus/alerts.yaml"])
    (group,) = file["groups"]

    assert "seamwork" == group["name"]
    assert [one.name for one in ALERTS] == [rule["alert"] for rule in group["rules"]]
    for rule in group["rules"]:
        assert {"alert", "expr", "for", "labels", "annotations"} == set(rule)
        assert re.fullmatch(r"\d+[smhd]", rule["for"])
        assert all(rule["annotations"][word] for word in ("summary", "description"))


def test_grafana_knows_every_field_of_the_dashboard(rendered: dict[str, str]) -> None:
    """By the types that its makers publish: what they do not know, reading and writing it again loses."""
    register_default_plugins()
    file = json.loads(rendered["grafana/seamwork.json"])

    read = json.loads(JSONEncoder().encode(Dashboard.from_json(file)))

    assert [] == list(lost(file, read, "$"))


def lost(before: Any, after: Any, path: str) -> Iterator[str]:
    """Yield the places of *before* that are not in *after*, or are otherwise."""
    if isinstance(before, dict):
        for name, value in before.items():
            yield from [f"{path}.{name}"] if name not in after else lost(value, after[name], f"{path}.{name}")
    elif isinstance(before, list):
        assert len(before) == len(after), path
        for index, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from lost(one, other, f"{path}[{index}]")
    elif before != after:
        yield path


def test_panels_lie_beside_each_other_and_each_has_one_name(rendered: dict[str, str]) -> None:
    """Two in one place would hide each other."""
    panels = json.loads(rendered["grafana/seamwork.json"])["panels"]
    taken = [
        (x, y)
        for at in (panel["gridPos"] for panel in panels)
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]

    assert len(taken) == len(set(taken))
    assert {0, 23} <= {x for x, _ in taken} <= set(range(24))
    assert len(panels) == len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels})
    assert {"row", "timeseries"} == {panel["type"] for panel in panels}
