"""
Show a platform's metrics as a dashboard for Grafana: what crosses, what does not hold, who keeps pace, who is told.

Alerts say that somebody has to do something; this is where that person looks next.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

# The newest that Grafana 10 knows; newer ones bring a dashboard up to date as they read it.
_SCHEMA = 38
_COLUMNS = 24  # into which Grafana divides a page; a row of its grid is 30 pixels
_WIDE, _HIGH = 8, 8
_SOURCE = {"type": "prometheus", "uid": "${source}"}


class Query(NamedTuple):
    """One expression (PromQL), and how its series are called."""

    expr: str
    legend: str


class Panel(NamedTuple):
    """
    One drawing.

    Attributes:
        title: What it is called.
        says: What to read off it.
        unit: As Grafana names it: ``cps`` (a second), ``s``, ``short``.
        queries: What is drawn.
    """

    title: str
    says: str
    unit: str
    queries: tuple[Query, ...]


ROWS: dict[str, tuple[Panel, ...]] = {
    "Work": (
        Panel(
            "Decisions of the router",
            "What crosses: handed on (dispatched), answers taken (accepted), refused, held for people.",
            "cps",
            (
                Query(
                    "sum by (decision) (rate(seamwork_decisions_total"
                    '{decision=~"dispatched|accepted|refused|held"}[$__rate_interval]))',
                    "{{decision}}",
                ),
            ),
        ),
        Panel(
            "Tasks that ended",
            "By outcome; what did not complete has its reason in `seamwork blame`.",
            "cps",
            (
                Query(
                    'sum by (why) (rate(seamwork_decisions_total{decision="task-ended"}[$__rate_interval]))',
                    "{{why}}",
                ),
            ),
        ),
        Panel(
            "Age of a crossing at the router",
            "From its append until it is tallied (decided) and until it is in an inbox (out).",
            "s",
            tuple(
                Query(
                    f"histogram_quantile({quantile}, sum by (le, stage) (rate(seamwork_crossing_age_seconds_bucket"
                    '{service="router", stage=~"decided|out"}[$__rate_interval])))',
                    f"{{{{stage}}}}, {name}",
                )
                for quantile, name in ((0.5, "half"), (0.99, "99 of 100"))
            ),
        ),
    ),
    "What does not hold": (
        Panel(
            "Refused, by rule",
            "The ten that refuse most. `seamwork tasks` and `seamwork blame` show whose work it was.",
            "cps",
            (
                Query(
                    'topk(10, sum by (why) (rate(seamwork_decisions_total{decision="refused"}[$__rate_interval])))',
                    "{{why}}",
                ),
            ),
        ),
        Panel(
            "Objections of the gates",
            "Verdicts other than an ALLOW, of gates in the shadow as well.",
            "cps",
            (
                Query(
                    "sum by (service, outcome) (rate(seamwork_verdicts_total"
                    '{outcome!~"ALLOW.*"}[$__rate_interval]))',
                    "{{service}} {{outcome}}",
                ),
            ),
        ),
        Panel(
            "Put before people",
            "Held for an approval, or escalated to a case: `seamwork approvals list`, `seamwork cases list`.",
            "cps",
            (
                Query(
                    "sum by (decision, why) (rate(seamwork_decisions_total"
                    '{decision=~"held|escalated"}[$__rate_interval]))',
                    "{{decision}} {{why}}",
                ),
            ),
        ),
        Panel(
            "Set aside",
            "Dead letters, outputs that no topic takes, inputs of which too much would follow: all nought at best.",
            "cps",
            (
                Query(
                    'sum(rate(seamwork_outputs_total{topic="dead-letters.v1"}[$__rate_interval]))',
                    "dead letters",
                ),
                Query(
                    "sum by (error) (rate(seamwork_undeliverable_total[$__rate_interval]))",
                    "undeliverable, {{error}}",
                ),
                Query("sum(rate(seamwork_too_much_total[$__rate_interval]))", "too much"),
            ),
        ),
        Panel(
            "What is left of error budgets",
            "Below nought the seam was refused or late more often than its owner agreed to in this period.",
            "short",
            (
                Query(
                    "min by (contract, what) (seamwork_error_budget_left)",
                    "{{contract}}, {{what}}",
                ),
            ),
        ),
        Panel(
            "What is left of budgets",
            "Of agents and teams in this period, in dollars: neither used nor promised.",
            "currencyUSD",
            (
                Query(
                    '(sum by (budget) (seamwork_budget_micro_usd{of="limit"}) '
                    '- sum by (budget) (seamwork_budget_micro_usd{of!="limit"})) / 1e6',
                    "{{budget}}",
                ),
            ),
        ),
        Panel(
            "What stands against new tasks",
            "Each rule that keeps tasks from being begun; `seamwork status` says what mends it.",
            "short",
            (Query("max by (rule) (seamwork_obstacles)", "{{rule}}"),),
        ),
    ),
    "Keeping pace": (
        Panel(
            "Records that lie ahead",
            "Of each service; it falls behind where this grows for minutes.",
            "short",
            (Query("sum by (service) (seamwork_lag_records)", "{{service}}"),),
        ),
        Panel(
            "Age of an input when its decision is final",
            "99 of 100, of each service: the slowest is what crossings wait for.",
            "s",
            (
                Query(
                    "histogram_quantile(0.99, sum by (le, service) "
                    "(rate(seamwork_input_age_seconds_bucket[$__rate_interval])))",
                    "{{service}}",
                ),
            ),
        ),
        Panel(
            "Where a batch's time goes",
            "Seconds a second that a service spends deciding, appending to its journal, publishing.",
            "percentunit",
            (
                Query(
                    "sum by (service, stage) (rate(seamwork_stage_seconds_sum[$__rate_interval]))",
                    "{{service}} {{stage}}",
                ),
            ),
        ),
        Panel(
            "Inputs in a batch",
            "On average: larger batches are how a service keeps pace with more.",
            "short",
            (
                Query(
                    "sum by (service) (rate(seamwork_batch_inputs_sum[$__rate_interval])) / "
                    "sum by (service) (rate(seamwork_batch_inputs_count[$__rate_interval]))",
                    "{{service}}",
                ),
            ),
        ),
        Panel(
            "What states hold",
            "Of machines, by kind; it shrinks as work ends. What only grows is work that never ends.",
            "short",
            (Query("sum by (service, of) (seamwork_remembered)", "{{service}} {{of}}"),),
        ),
        Panel(
            "Partitions and who owns them",
            "Owned and restored, and how often owners changed; fenced: an owner was replaced while it worked.",
            "short",
            (
                Query("sum by (service) (seamwork_owned_partitions)", "{{service}} owns"),
                Query(
                    "sum by (service) (increase(seamwork_claims_total[$__rate_interval]))",
                    "{{service}} claimed",
                ),
                Query(
                    "sum by (service) (increase(seamwork_fenced_total[$__rate_interval]))",
                    "{{service}} fenced",
                ),
            ),
        ),
    ),
    "Owners and documents": (
        Panel(
            "What owners were told",
            "By kind, drills left out.",
            "cps",
            (
                Query(
                    'sum by (kind) (rate(seamwork_notifications_total{drill="no"}[$__rate_interval]))',
                    "{{kind}}",
                ),
            ),
        ),
        Panel(
            "Webhooks",
            "Tries by how they went, and what waits.",
            "short",
            (
                Query(
                    "sum by (owner, outcome) (increase(seamwork_deliveries_total[$__rate_interval]))",
                    "{{owner}} {{outcome}}",
                ),
                Query("max by (owner) (seamwork_notifications_pending)", "{{owner}} waits"),
            ),
        ),
        Panel(
            "Documents that a service has not read",
            "How far the service that is furthest behind is behind the one that is furthest ahead, by topic.",
            "short",
            (
                Query(
                    "max by (topic) (seamwork_catalog_offset) - min by (topic) (seamwork_catalog_offset)",
                    "{{topic}}",
                ),
                Query("max(seamwork_documents_rejected)", "records that do not count"),
            ),
        ),
    ),
    "Agents": (
        Panel(
            "Dispatches that ended",
            "By agent and how, of agents whose programs are scraped.",
            "cps",
            (
                Query(
                    "sum by (agent, how) (rate(seamwork_agent_dispatches_total[$__rate_interval]))",
                    "{{agent}} {{how}}",
                ),
            ),
        ),
        Panel(
            "Records that agents did not believe",
            "By rule; somebody writes to an inbox who may not, or with another's key.",
            "cps",
            (
                Query(
                    "sum by (agent, rule) (rate(seamwork_agent_suspect_records_total[$__rate_interval]))",
                    "{{agent}} {{rule}}",
                ),
            ),
        ),
        Panel(
            "What a crossing takes at an agent",
            "99 of 100: until the log has what was submitted, and from the inbox's append to the function.",
            "s",
            (
                Query(
                    "histogram_quantile(0.99, sum by (le, stage) "
                    "(rate(seamwork_agent_stage_seconds_bucket[$__rate_interval])))",
                    "{{stage}}",
                ),
            ),
        ),
    ),
}
"""Every row with its panels, from top to bottom."""


def dashboard() -> dict[str, Any]:
    """Return the dashboard as Grafana imports it; it asks for the Prometheus that it is to read."""
    return {
        "uid": "seamwork",
        "title": "Seamwork",
        "description": "What crosses between agents, what does not hold, and whether the platform keeps pace.",
        "tags": ["seamwork"],
        "schemaVersion": _SCHEMA,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {
            "list": [{"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}]
        },
        "panels": list(_panels()),
    }


def _panels() -> Iterator[dict[str, Any]]:
    number, top = 0, 0
    for title, panels in ROWS.items():
        number += 1
        yield {
            "id": number, "type": "row", "title": title, "collapsed": False, "panels": [],
            "gridPos": {"h": 1, "w": _COLUMNS, "x": 0, "y": top},
        }  # fmt: skip
        top += 1
        for index, panel in enumerate(panels):
            number += 1
            left = index * _WIDE % _COLUMNS
            yield {"id": number, **_drawn(panel), "gridPos": {"h": _HIGH, "w": _WIDE, "x": left, "y": top}}
            if left + _WIDE == _COLUMNS or panel is panels[-1]:
                top += _HIGH


def _drawn(panel: Panel) -> dict[str, Any]:
    return {
        "type": "timeseries",
        "title": panel.title,
        "description": panel.says,
        "datasource": _SOURCE,
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": _SOURCE,
                "expr": one.expr,
                "legendFormat": one.legend,
            }
            for index, one in enumerate(panel.queries)
        ],
        "fieldConfig": {
            "defaults": {"unit": panel.unit, "custom": {"fillOpacity": 10, "showPoints": "never"}},
            "overrides": [],
        },
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
    }
