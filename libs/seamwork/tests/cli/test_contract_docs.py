"""A contract's page is drawn from what a platform goes by, not from all that it ever published."""

from seamwork.catalog import Catalog
from seamwork.catalog.entries import Activation
from seamwork.cli.contract_docs import published
from seamwork.contracts.shelf import Shelf
from seamwork.seams.seam import latest_flows, seams_of
from seamwork.testing.documents import document


def test_the_pages_of_a_platform_draw_the_seams_that_are_in_force() -> None:
    """What a retired flow drew, an agent that left, what was rolled back from: nobody is sent there at night."""
    edge = {"from": "a", "to": "b", "contract": "c"}
    out = (Activation("active", None, 0), Activation("retired", None, 5))
    catalog = Catalog.of(
        [
            document("Contract", "c"), document("Agent", "b"), document("Agent", "b", "2.0.0"),
            document("Flow", "gone", edges=[edge]), document("Flow", "stays", edges=[edge]),
            document("Flow", "stays", "1.1.0", edges=[{**edge, "to": "other"}]),
        ],
        {
            ("Flow", "gone", "1.0.0"): out, ("Agent", "b", "2.0.0"): out,
            ("Flow", "stays", "1.0.0"): (Activation("active", None, 0), Activation("active", None, 6, order=9)),
        },
    )  # fmt: skip

    kept, documents = published(catalog, 7)
    seams = [seam for flow in latest_flows(Shelf(documents)) for seam in seams_of(flow, Shelf(documents))]

    assert ["c"] == list(kept)
    assert [("stays", "b", ("1.0.0",))] == [
        (seam.flow.name, seam.edge.to, tuple(one.version for one in seam.receivers)) for seam in seams
    ]
