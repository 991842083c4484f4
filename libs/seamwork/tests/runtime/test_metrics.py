"""What a service counts, and how Prometheus gets to see it."""

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from seamwork.errors import MisconfiguredError
from seamwork.runtime.metrics import METRICS, Metrics


def test_counters_add_up_and_gauges_hold_the_last_value() -> None:
    """Each under its own labels, with the service's name before them."""
    metrics = Metrics("router")
    metrics.count("seamwork_crossings", "handoffs.v1", "handoff", by=2)
    metrics.count_each("seamwork_crossings", [("handoffs.v1", "result"), ("handoffs.v1", "handoff")])
    metrics.set("seamwork_lag_records", 7, "0")
    metrics.set("seamwork_lag_records", 3, "0")

    sample = metrics.registry.get_sample_value

    labels = {"service": "router", "topic": "handoffs.v1"}
    assert 3.0 == sample("seamwork_crossings_total", {**labels, "kind": "handoff"})
    assert 1.0 == sample("seamwork_crossings_total", {**labels, "kind": "result"})
    assert 3.0 == sample("seamwork_lag_records", {"service": "router", "partition": "0"})


def test_an_observation_falls_into_the_first_bucket_that_holds_it_and_into_all_larger_ones() -> None:
    """A bound belongs to its bucket; what passes the last one is in the infinite bucket alone."""
    metrics = Metrics("router")
    metrics.observe("seamwork_batch_inputs", 2)
    metrics.observe_all("seamwork_batch_inputs", [3, 501])

    def bucket(bound: str) -> float | None:
        labels = {"service": "router", "le": bound}
        return metrics.registry.get_sample_value("seamwork_batch_inputs_bucket", labels)

    assert [0, 1, 2, 2, 3] == [bucket(bound) for bound in ("1.0", "2.0", "5.0", "500.0", "+Inf")]
    of = {"service": "router"}
    assert 3 == metrics.registry.get_sample_value("seamwork_batch_inputs_count", of)
    assert 506 == metrics.registry.get_sample_value("seamwork_batch_inputs_sum", of)


def test_the_page_names_every_metric_with_its_kind_before_anything_was_counted() -> None:
    """So that a dashboard can be made for a platform that has just come up."""
    page = generate_latest(Metrics("router").registry).decode()

    shown = {family.name: family.type for family in text_string_to_metric_families(page)}

    assert {metric.name: metric.kind for metric in METRICS} == shown


@pytest.mark.parametrize("labels", [(), ("one", "two")])
def test_what_is_not_written_down_is_not_counted(labels: tuple[str, ...]) -> None:
    """A name, a kind or a number of labels that ``METRICS`` does not have is a mistake of the code."""
    metrics = Metrics("router")

    with pytest.raises(MisconfiguredError, match="no counter seamwork_outputs with"):
        metrics.count("seamwork_outputs", *labels)
    with pytest.raises(MisconfiguredError, match="no gauge seamwork_outputs with"):
        metrics.set("seamwork_outputs", 1, "topic")
    with pytest.raises(MisconfiguredError, match="no histogram seamwork_unheard_of"):
        metrics.observe("seamwork_unheard_of", 1)
