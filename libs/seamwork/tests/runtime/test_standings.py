"""How budgets stand, where alerts look."""

from dataclasses import replace

from seamwork.runtime.metrics import Metrics
from seamwork.runtime.spec import Standing
from seamwork.runtime.standings import Standings

NIGHT = Standing(
    budget="night-shift", version="1.0.0", scope="team", holder="ops", period="day", since="", limit=1_000,
    reserved=20, spent=300, overrun=4,
)  # fmt: skip


def test_each_budget_is_shown_until_there_is_none() -> None:
    """Of what is left only the parts are told, and whoever has lost the journal says nothing beside its owner."""
    metrics, stand = Metrics("cost-cap"), [NIGHT, replace(NIGHT, budget="day-shift")]
    shown = Standings(metrics, lambda: stand)

    def said() -> dict[tuple[str, str], float]:
        return {
            (sample.labels["budget"], sample.labels["of"]): sample.value
            for family in metrics.collect()
            for sample in family.samples
            if sample.name == "seamwork_budget_micro_usd"
        }

    shown.look()
    first = said()
    stand[:] = [replace(NIGHT, spent=600)]
    shown.look()
    second = said()
    stand.clear()
    shown.look()

    assert {("day-shift", "limit"), ("night-shift", "limit")} < set(first)
    assert {"limit": 1_000, "reserved": 20, "spent": 600, "overrun": 4} == {
        of: second[name, of] for name, of in second
    }
    assert {} == said()
