"""What a person is asked to approve says what stands in the payload, and where nothing does it says that."""

from pathlib import Path

import pytest

from seamwork.contracts.compiled import compile_contract
from seamwork.documents import Contract, parse_documents

REFUND = (Path(__file__).parent / "refund-request.yaml").read_text(encoding="utf-8")
PAYLOAD = b'{"customer": "ada@example.org", "lines": [{"qty": 3}], "refund_minor": 900}'


@pytest.mark.parametrize(
    ("slot", "shown"),
    [
        ("this.lines.0.qty", "3"),
        ("this.lines.0", '{"qty": 3}'),
        ("this.refund_minor", "900"),
        ("this.lines.1.qty", "(not given)"),
        ("this.lines.0.note", "(not given)"),
        ("this.lines.first", "(not given)"),
        ("this.customer.name", "***"),
        ("task.team", "care"),
        ("task.tenant", "(not given)"),
        ("refund_minor", "(not given)"),
        ("this.lines[0]", "(not given)"),
    ],
)
def test_a_slot_is_filled_or_said_to_be_empty(slot: str, shown: str) -> None:
    """No slot leaves a hole that reads like a value, not even one that the check would have refused."""
    (contract,) = parse_documents(REFUND.replace("this.refund_minor }}", slot + " }}"), "refund.yaml")
    assert isinstance(contract, Contract)
    readable = compile_contract(contract).summary(PAYLOAD, envelope={}, task={"team": "care"})

    assert f"A customer asks {shown} back" == readable.state
