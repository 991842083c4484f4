"""What a chaos run takes for recovered, and for an end that a service means."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.chaos import load as loading
from tests.chaos.harness import Report, _Exits
from tests.chaos.load import Load

from seamwork.records.decision import TaskEnded
from seamwork.records.parties import Revision


class Scripted(Load):
    """A load whose tasks end as it is told, the last of it for ever."""

    def __init__(self, folder: Path, *outcomes: str) -> None:
        stage: Any = SimpleNamespace(door=SimpleNamespace(home=SimpleNamespace(root=folder)))
        nowhere: Any = None
        super().__init__(stage, nowhere, 1.0)
        self._outcomes = list(outcomes)

    async def begin(self) -> str:
        """Begin a task that is over at once."""
        task = f"t-{len(self.over)}"
        outcome: Any = self._outcomes.pop(0) if len(self._outcomes) > 1 else self._outcomes[0]
        if outcome == "refused":
            self.refused[task] = "not-ready"
        else:
            self._ended(TaskEnded(
                task=task, decided_at=0, revision=Revision(), rule="r", outcome=outcome, crossings=1, refused=0,
            ))  # fmt: skip
        return task


@pytest.mark.parametrize("outcomes", [("complete",), ("refused", "failed", "partial", "complete")])
async def test_who_has_done_new_work_has_recovered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outcomes: tuple[str, ...]
) -> None:
    """What is refused meanwhile, because not every gate is back, is begun again."""
    monkeypatch.setattr(loading, "_AGAIN_S", 0.0)

    assert await Scripted(tmp_path, *outcomes).recovered(5.0) is not None


@pytest.mark.parametrize("outcome", ["refused", "failed", "expired"])
async def test_who_refuses_or_fails_all_that_is_new_has_not_recovered(tmp_path: Path, outcome: str) -> None:
    """However soon it does so."""
    assert await Scripted(tmp_path, outcome).recovered(0.05) is None


@pytest.mark.parametrize(
    ("code", "meant"), [(0, True), (-9, True), (69, True), (75, True), (1, False), (74, False), (78, False)]
)
def test_an_end_that_no_run_may_show_is_a_violation(code: int, meant: bool) -> None:  # noqa: FBT001  # a table
    """A bug, a gap in the log, settings that cannot be."""
    process = SimpleNamespace(name="router", pid=None, exit_code=code, restarts=0)
    services = SimpleNamespace(processes={"router": process}, on_change=lambda _look: None)
    scene: Any = SimpleNamespace(services=services)
    watch = _Exits(scene)
    watch._look()

    assert meant is (not Report(1, 1, exits=watch.counted()).violations)
