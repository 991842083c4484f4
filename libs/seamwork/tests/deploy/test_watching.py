"""What Prometheus is told to watch: of metrics that there are, in words that somebody can act on."""

import re
from collections.abc import Iterator
from typing import Any

import click
import promql_parser
import pytest
from ruamel.yaml import YAML

from seamwork.cli import seamwork
from seamwork.deploy.alerts import Alert, alerts
from seamwork.deploy.installation import installed
from seamwork.runtime.metrics import METRICS, Metric

SERVICES = [service.name for service in installed()]
ALERTS = alerts(SERVICES)
SHOWN = {f"{one.name}_total" if one.kind == "counter" else one.name: one for one in METRICS}
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
    return SHOWN[name.removesuffix("_bucket")]


def each(of: tuple[Alert, ...]) -> pytest.MarkDecorator:
    """Let a test hold each of them."""
    return pytest.mark.parametrize("alert", of, ids=lambda one: one.name)


@each(ALERTS)
def test_it_asks_for_metrics_and_labels_that_there_are(alert: Alert) -> None:
    """A rule about a name that nobody shows never holds, and nobody would know."""
    asked = list(selectors(alert.expr))

    assert asked
    for one in asked:
        labels = {*described(one.name).labels, "service"}
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


@each(ALERTS)
def test_it_names_commands_that_there_are(alert: Alert) -> None:
    """Whoever is woken types them."""
    for words in _TYPED.findall(alert.mend):
        command: click.Command | None = seamwork
        for word in words.split():
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
