"""
Say by which of its metrics a platform asks for somebody: rules for Prometheus.

Each stands for something that a person has to do, and says what. What the platform mends by itself has none.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple


class Alert(NamedTuple):
    """
    One rule.

    Attributes:
        name: What it is called.
        expr: When it holds (PromQL).
        lasting: For how long it must hold before anybody is told.
        severity: ``page``, work stands still or is about to; ``ticket``, it can wait for the morning.
        summary: What is the matter, in a line; may name labels.
        mend: What to do.
    """

    name: str
    expr: str
    lasting: str
    severity: str
    summary: str
    mend: str


def alerts(services: Sequence[str]) -> tuple[Alert, ...]:
    """Return every rule for a platform of these services."""
    return (*(_absent(name) for name in services), *_ALERTS)


def rule_file(services: Sequence[str]) -> dict[str, Any]:
    """Return the rules as Prometheus reads them, which is also the ``spec`` of a ``PrometheusRule``."""
    rules = [
        {
            "alert": one.name,
            "expr": one.expr,
            "for": one.lasting,
            "labels": {"severity": one.severity},
            "annotations": {"summary": one.summary, "description": one.mend},
        }
        for one in alerts(services)
    ]
    return {"groups": [{"name": "seamwork", "rules": rules}]}


def _absent(service: str) -> Alert:
    words = "".join(part.capitalize() for part in service.split("-"))
    return Alert(
        f"Seamwork{words}Absent",
        f'absent(seamwork_catalog_offset{{service="{service}"}})',
        "2m",
        "page",
        f"No {service} shows any metrics.",
        _ABSENT.get(service, _NO_VERDICTS),
    )  # fmt: skip


def _happened(counter: str, within: str) -> str:
    """Return an expression for a counter that grew; one that is new has no value before, and is no growth."""
    return f"increase({counter}[{within}]) > 0 or ({counter} unless {counter} offset {within}) > 0"


_NO_VERDICTS = "Nothing is admitted that it must judge. Look at its pods and their logs."
_ABSENT = {
    "router": "No work is taken in, and none handed on. Look at its pods and their logs.",
    "audit-sink": "The log keeps what it lacks for 30 days; after one no new task is begun. Look at its pod.",
    "notifier": "Nobody is told of refusals, holds and cases; they wait in the log. Look at its pod.",
}
_ALERTS = (
    Alert(
        "SeamworkAdmissionClosed",
        "max by (rule) (seamwork_obstacles) > 0",
        "1m",
        "page",
        "No task is begun ({{ $labels.rule }}); what runs goes on.",
        "`seamwork status` says why and what mends it. Tasks begin again by themselves when it is mended.",
    ),
    Alert(
        "SeamworkStandsStill",
        # Not `and … == 0`: one that never took anything in has no rate.
        "sum by (service) (seamwork_lag_records) > 0 "
        "unless on (service) sum by (service) (rate(seamwork_crossings_total[5m])) > 0",
        "5m",
        "page",
        "{{ $labels.service }} has work before it and does none.",
        "Its log says what it waits for; if it waits for nothing, it is restarted by its liveness probe.",
    ),
    Alert(
        "SeamworkFallsBehind",
        "sum by (service) (seamwork_lag_records) > 10000",
        "10m",
        "page",
        "{{ $labels.service }} is {{ $value }} records behind.",
        "More comes in than it decides. Give it more of a processor or more instances (not the audit sink and the "
        "notifier, of which there is one), or let less be begun: `mostTasks` of agents, `seamwork pause`.",
    ),
    Alert(
        "SeamworkNobodyOwns",
        "sum by (service) (seamwork_owned_partitions) == 0",
        "2m",
        "page",
        "No instance of {{ $labels.service }} has any partition.",
        "It restores its state, or waits for a group that does not come to rest. Its logs say which.",
    ),
    Alert(
        "SeamworkCatalogsDiffer",
        "max by (topic) (seamwork_catalog_offset) - min by (topic) (seamwork_catalog_offset) > 0",
        "5m",
        "page",
        "Some service has not read what was published to {{ $labels.topic }}.",
        "It decides by older documents. `seamwork status` names it; its log says why it cannot read them.",
    ),
    Alert(
        "SeamworkOwnersFight",
        "increase(seamwork_fenced_total[15m]) > 3",
        "1m",
        "ticket",
        "Instances of {{ $labels.service }} take partitions from each other again and again.",
        "Two with one name, or processes that stand still for longer than their session. Their logs tell.",
    ),
    Alert(
        "SeamworkSlow",
        "histogram_quantile(0.99, sum by (le) "
        '(rate(seamwork_crossing_age_seconds_bucket{service="router", stage="decided"}[5m]))) > 5',
        "10m",
        "ticket",
        "One crossing of a hundred is decided after more than 5 s.",
        "`seamwork_crossing_age_seconds` by service and stage shows which gate it waits for.",
    ),
    Alert(
        "SeamworkRefusesMuch",
        # Where nothing is handed on there may be no series that says so.
        'sum(rate(seamwork_decisions_total{decision="refused"}[15m])) > '
        '(sum(rate(seamwork_decisions_total{decision="dispatched"}[15m])) or vector(0))',
        "15m",
        "ticket",
        "More work is refused than is handed on.",
        "`seamwork_decisions_total` says by which rule, `seamwork tasks --refused` whose work it is, `seamwork "
        "blame` at which seam.",
    ),
    Alert(
        "SeamworkDeadLetters",
        _happened('seamwork_outputs_total{topic="dead-letters.v1"}', "15m"),
        "0s",
        "ticket",
        "{{ $labels.service }} set records aside whose sender nobody can prove, or that nobody can read.",
        "`seamwork dead-letters list` shows them and why; requeue or discard each.",
    ),
    Alert(
        "SeamworkUndeliverable",
        _happened("seamwork_undeliverable_total", "15m"),
        "0s",
        "ticket",
        "{{ $labels.service }} could not publish what it had decided ({{ $labels.error }}).",
        "A topic is missing or its rights are: `seamwork doctor`. The decision says what became of the work.",
    ),
    Alert(
        "SeamworkTooMuch",
        _happened("seamwork_too_much_total", "15m"),
        "0s",
        "ticket",
        "{{ $labels.service }} refused an input of which too much would have followed.",
        "`seamwork dead-letters list` names it; its sender has to do less at a time.",
    ),
    Alert(
        "SeamworkDocumentsRejected",
        "max(seamwork_documents_rejected) > max(seamwork_documents_rejected offset 15m)",
        "0s",
        "ticket",
        "Records came to the document topics that do not count.",
        "Somebody published without the right to, or with another's key. The services' logs name the records.",
    ),
    Alert(
        "SeamworkOwnersAreNotTold",
        _happened('seamwork_deliveries_total{outcome="given-up"}', "1h"),
        "0s",
        "ticket",
        "{{ $labels.owner }} was not told of something: its webhook takes nothing.",
        "The notifier's log says what it answers. What waits for people: `seamwork cases list`, "
        "`seamwork approvals list`.",
    ),
    Alert(
        "SeamworkNotificationsWait",
        "min_over_time(seamwork_notifications_pending[30m]) > 0",
        "5m",
        "ticket",
        "Notifications have waited for the webhook of {{ $labels.owner }} for half an hour.",
        "They are tried again for three days. The notifier's log says what the webhook answers.",
    ),
    Alert(
        "SeamworkErrorBudgetSpent",
        "seamwork_error_budget_left < 0",
        "0s",
        "ticket",
        "{{ $labels.contract }} has more {{ $labels.what }} than its owner agreed to in this period.",
        "`seamwork review` of the flow shows which; its owner was told.",
    ),
    Alert(
        "SeamworkBudgetNearlyUsed",
        'sum by (service, budget) (seamwork_budget_micro_usd{of!="limit"}) '
        '> 0.9 * sum by (service, budget) (seamwork_budget_micro_usd{of="limit"})',
        "1m",
        "ticket",
        "More than nine tenths of the budget {{ $labels.budget }} are used or promised.",
        "`seamwork budgets list` says by what. Once it is used up, work under it is refused (`over-budget`): "
        "publish it with a higher limit, or wait for its next period.",
    ),
    Alert(
        "SeamworkSpansLost",
        _happened('seamwork_spans_total{fate="lost"}', "15m"),
        "15m",
        "ticket",
        "Traces have holes: the collector of spans does not take them.",
        "The audit sink's log says what it answers. The record itself is whole.",
    ),
)
