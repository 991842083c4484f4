"""Say how much is measured: ``short`` in ten minutes, ``full`` in hours, ``smoke`` to see that it can be."""

from dataclasses import dataclass
from typing import Literal, get_args

from seamwork.platform.up import Layout

Name = Literal["smoke", "short", "full"]
KB = 1024
BASE_BYTES, LARGE_BYTES = KB, 10 * KB


@dataclass(frozen=True, kw_only=True)
class Scale:
    """
    How often and for how long each thing is measured.

    Attributes:
        rounds: Interleaved rounds; a figure is the median over them.
        raw_samples: Plain records a round, one in flight.
        hop_samples: Records through a hop that nobody governs, likewise.
        governed_samples: Governed tasks, likewise.
        raw_for_s: For how long a round keeps many plain records in flight.
        hop_for_s: Records through a hop, likewise.
        governed_for_s: Governed tasks, likewise.
        open_for_s: For how long each offered load is held.
        shares: The offered loads, as shares of the largest throughput measured.
        warm_up_s: For how long a platform is used before anything is measured.
        in_flight: How many are "many".
        layouts: The layouts of the services that are measured.
        large: The layouts that carry payloads of 10 KB as well; elsewhere a single round does.
        contracts: Sizes of the catalog, in versions of contracts.
        rules: Numbers of policy rules.
        live: Numbers of tasks that are open meanwhile.
        tunnel_partitions: Numbers of partitions, all code in one process.
        broker_partitions: The same on a broker.
        tunnel_rounds: Rounds of each of these.
        tunnel_tasks: Tasks a round.
        crossings: For how many crossings memory is watched, in the default layout; in others for a share of them.
    """

    name: Name
    rounds: int
    raw_samples: int
    hop_samples: int
    governed_samples: int
    raw_for_s: float
    hop_for_s: float
    governed_for_s: float
    open_for_s: float
    shares: tuple[float, ...]
    warm_up_s: float
    in_flight: int
    layouts: tuple[Layout, ...]
    large: tuple[Layout, ...]
    contracts: tuple[int, ...]
    rules: tuple[int, ...]
    live: tuple[int, ...]
    tunnel_partitions: tuple[int, ...]
    broker_partitions: tuple[int, ...]
    tunnel_rounds: int
    tunnel_tasks: int
    crossings: int


SCALES: dict[Name, Scale] = {
    "smoke": Scale(
        name="smoke", rounds=1, raw_samples=8, hop_samples=4, governed_samples=3, raw_for_s=0.1, hop_for_s=0.1,
        governed_for_s=0.2, open_for_s=0.3, shares=(0.5, 1.0), warm_up_s=0.2, in_flight=8,
        layouts=("together",), large=(), contracts=(10, 20), rules=(5, 10), live=(5, 10),
        tunnel_partitions=(1, 2), broker_partitions=(1, 2), tunnel_rounds=2, tunnel_tasks=8, crossings=100,
    ),
    "short": Scale(
        name="short", rounds=5, raw_samples=100, hop_samples=30, governed_samples=20, raw_for_s=0.4, hop_for_s=0.7,
        governed_for_s=3.0, open_for_s=2.0, shares=(0.25, 0.5, 0.9, 1.1), warm_up_s=3.0, in_flight=256,
        layouts=("apart", "together"), large=(), contracts=(10, 10_000), rules=(10, 100, 1_000), live=(100, 2_000),
        tunnel_partitions=(1, 4, 12), broker_partitions=(), tunnel_rounds=5, tunnel_tasks=60, crossings=2_000,
    ),
    "full": Scale(
        name="full", rounds=7, raw_samples=300, hop_samples=100, governed_samples=100, raw_for_s=2.0, hop_for_s=3.0,
        governed_for_s=10.0, open_for_s=10.0, shares=(0.1, 0.25, 0.5, 0.75, 0.9, 1.0, 1.1), warm_up_s=15.0,
        in_flight=256, layouts=get_args(Layout), large=get_args(Layout), contracts=(10, 100, 1_000, 10_000),
        rules=(10, 100, 1_000), live=(100, 1_000, 10_000, 100_000), tunnel_partitions=(1, 2, 4, 12),
        broker_partitions=(1, 4, 12), tunnel_rounds=9, tunnel_tasks=100, crossings=1_000_000,
    ),
}  # fmt: skip
