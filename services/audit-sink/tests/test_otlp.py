"""A collector gets the spans of what was kept; one that is not well holds nothing up."""

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from seamwork.errors import MisconfiguredError
from seamwork.runtime.metrics import Metrics
from seamwork.testing.collector import TestCollector
from seamwork.testing.story import STORY
from seamwork_audit_sink.otlp import Collector, _Counting, read_headers
from seamwork_audit_sink.spans import Spans

ABOUT = {"service.namespace": "seamwork"}
"""What is known of the platform in these tests."""


def fate(metrics: Metrics, what: str) -> float:
    """Return how many spans went that way."""
    service = "audit-sink"
    return metrics.registry.get_sample_value("seamwork_spans_total", {"service": service, "fate": what}) or 0


@pytest.fixture
def collector() -> Iterator[TestCollector]:
    """Lend a collector."""
    with TestCollector() as made:
        yield made


def test_what_a_collector_cannot_take_is_counted_and_not_waited_for() -> None:
    """One that refuses and one that never answers cost whoever hands spans over nothing."""
    spans = _all_spans()
    for answer in (lambda: 400, lambda: 404):
        metrics = Metrics("audit-sink")
        with TestCollector(answer) as ill:
            collector = Collector(ill.endpoint, {}, ABOUT, metrics)
            collector.send(spans)
            collector.stop()

        assert (len(spans), 0, len(spans)) == tuple(fate(metrics, what) for what in ("made", "sent", "lost"))


def test_a_collector_gets_what_happened_in_the_middle_of_a_span(collector: TestCollector) -> None:
    """An agent's signs of life, in the span of its work."""
    way = Collector(collector.endpoint, {}, ABOUT, Metrics("audit-sink"))
    way.send(_all_spans())
    way.stop()

    assert ["seamwork.progress"] == [event for span in collector.spans for event in span.events]


def test_that_a_collector_is_gone_is_said_once_and_that_it_is_back_too() -> None:
    """Whoever reads the log learns both, and nothing of each of thousands of batches between."""
    answers = [True, False, False, True, True, False]

    class Answering(SpanExporter):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            assert [] == list(spans)
            return SpanExportResult.SUCCESS if answers.pop(0) else SpanExportResult.FAILURE

    with structlog.testing.capture_logs() as logs:
        counting = _Counting(Answering(), Metrics("audit-sink"))
        while answers:
            counting.export(())

    assert ["collector-gone", "collector-back", "collector-gone"] == [one["event"] for one in logs]


def test_a_collector_that_never_answers_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopping waits for it a bounded time."""
    monkeypatch.setattr("seamwork_audit_sink.otlp._LAST_WORDS_S", 0.2)
    release = threading.Event()

    def hang() -> int:
        release.wait(20)
        return 200

    with TestCollector(hang) as silent:
        collector = Collector(silent.endpoint, {}, ABOUT, Metrics("audit-sink"))
        collector.send(_all_spans())
        begun = time.monotonic()
        collector.stop()
        took_s = time.monotonic() - begun
        release.set()

    assert 20 > took_s


def test_what_finds_no_room_is_counted_and_no_span_is_made_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a collector hangs, an operator sees that more is lost than what it was sent."""
    monkeypatch.setattr("seamwork_audit_sink.otlp._QUEUE", 600)
    release, metrics = threading.Event(), Metrics("audit-sink")

    def hang() -> int:
        release.wait(20)
        return 200

    with TestCollector(hang) as slow:
        collector = Collector(slow.endpoint, {}, ABOUT, metrics)
        for number in range(2_000):
            collector.send([replace(_all_spans()[0], id=f"{number + 1:016x}")])
        lost = fate(metrics, "lost")
        release.set()
        collector.stop()

    assert 2_000 - 600 - 512 <= lost
    assert fate(metrics, "made") == 2_000 == fate(metrics, "sent") + fate(metrics, "lost")


@pytest.mark.parametrize(
    "line", ["authorization: Bearer \N{EURO SIGN}canary", "x team: canary", "x\N{DOT ABOVE}: canary"]
)
def test_a_header_that_http_cannot_carry_is_refused_at_the_start(tmp_path: Path, line: str) -> None:
    """Else every batch fails, and the log says that the collector is gone."""
    file = tmp_path / "headers"
    file.write_text(f"\nx-team: seams\n{line}\n", encoding="utf-8")
    file.chmod(0o600)

    with pytest.raises(MisconfiguredError, match="entry 2") as error:
        read_headers(file)

    assert "canary" not in str(error.value)


def test_what_is_sent_along_comes_from_a_private_file(tmp_path: Path, collector: TestCollector) -> None:
    """A token is no variable and is never shown."""
    file = tmp_path / "headers"
    file.write_text("authorization: Bearer canary-1\nx-team: seams\n", encoding="utf-8")
    file.chmod(0o600)
    way = Collector(collector.endpoint, read_headers(file), ABOUT, Metrics("audit-sink"))
    way.send(_all_spans())
    way.stop()

    assert ("Bearer canary-1", "seams") == (
        collector.requests.headers[0]["authorization"],
        collector.requests.headers[0]["x-team"],
    )
    file.chmod(0o644)
    with pytest.raises(MisconfiguredError, match="others can read it"):
        read_headers(file)
    file.chmod(0o600)
    file.write_text("canary-2", encoding="utf-8")
    with pytest.raises(MisconfiguredError) as error:
        read_headers(file)
    assert "canary" not in str(error.value)


def _all_spans() -> list[Any]:
    spans = Spans("seamwork")
    return [span for record in STORY for span in spans.take(record)]
