"""What an agent writes says how long its id must be remembered."""

import pytest

from seamwork.agent.inbox import Offer
from seamwork.agent.pen import HOUR_MS, MINUTE_MS, Author, Pen
from seamwork.records.crossing import CarriedStamp, Handoff, Result
from seamwork.records.envelope import decode
from seamwork.records.inbox import Work
from seamwork.records.parties import AgentRef
from seamwork.testing.builders import NOW, PLATFORM, envelope
from seamwork.testing.keys import key_of


@pytest.mark.parametrize(
    ("ends_at", "expires_at"),
    [
        (NOW + 2 * MINUTE_MS, NOW + 3 * MINUTE_MS),
        (NOW - 1, NOW + MINUTE_MS),
        (NOW + 2 * HOUR_MS, NOW + HOUR_MS),
    ],
)
def test_a_result_lives_hardly_longer_than_the_stamp_that_it_needs(ends_at: int, expires_at: int) -> None:
    """A minute more, in which its sender is told what was wrong; and an hour at most."""
    work, handoff = envelope("work", not_after=ends_at), envelope("handoff")
    assert isinstance(work, Work)
    assert isinstance(handoff, Handoff)
    author = Author(AgentRef(agent="extractor", version="1.0.0"), PLATFORM, key_of("agent:extractor"))
    pen = Pen(author, Offer(work, CarriedStamp(kid="k", sig="s", envelope="e"), handoff, b"{}", (), None, 2))

    out = pen.result("success", b"{}", 0, NOW, None, ())
    written = decode(dict(out.headers)["sw_envelope"] or b"")

    assert isinstance(written, Result)
    assert expires_at == written.expires_at
