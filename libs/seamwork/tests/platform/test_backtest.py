"""What a back-test may claim."""

import pytest

from seamwork.platform.backtest import Backtested, GateTested


@pytest.mark.parametrize(
    ("gates", "says_nothing"),
    [
        ((), False),
        (((0, 0), (0, 0)), False),
        (((0, 3), (0, 0)), True),
        (((0, 3), (1, 0)), False),
        (((4, 3),), False),
    ],
    ids=["no-gates", "no-verdicts", "none-compared", "one-gate-compared", "some-compared"],
)
def test_where_nothing_comes_out_as_it_did_nothing_is_claimed(
    gates: tuple[tuple[int, int], ...], says_nothing: bool,  # noqa: FBT001  # what is told
) -> None:  # fmt: skip
    """Else a pipeline would take the silence of another release for an answer."""
    tested = Backtested(
        records=7, tasks=1, since=1, until=2,
        gates=tuple(
            GateTested(gate=f"gate-{number}", compared=compared, unlike=unlike, otherwise=())
            for number, (compared, unlike) in enumerate(gates)
        ),
    )  # fmt: skip

    assert says_nothing == tested.says_nothing
    assert tested.same
