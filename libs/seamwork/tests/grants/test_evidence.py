"""What people say has room in one verdict, as far as as many say it as must."""

import pytest
from msgspec import structs

from seamwork.grants.evidence import evidence_bytes, most_evidence
from seamwork.records.envelope import MAX_ENVELOPE_BYTES, encode
from seamwork.records.parties import Revision, Subject
from seamwork.records.verdict import Approvers, SignedRecord, Verdict

VERDICT = Verdict(
    gate="approval-workflow", gate_version="1.0.0", subject=Subject(partition=0, offset=1, digest="d" * 64),
    task="t-1", crossing="h-1", outcome="ALLOW", rule="approved", reason="they agreed", revision=Revision(),
    judged_at=1,
)  # fmt: skip


@pytest.mark.parametrize("count", [1, 2, 20])
@pytest.mark.parametrize("said", ["x", '"', "\n", "ß", "🎉"])
def test_as_many_answers_as_must_agree_fit_each_as_long_as_may_be(count: int, said: str) -> None:
    """However much longer a text becomes that is written within a text."""
    most = most_evidence([Approvers(roles=("lawyer",), count=count)])
    answer = SignedRecord(topic="answers.v1", key="t-1", envelope="", kid="person-ada-1", sig="=" * 88)
    while evidence_bytes(longer := structs.replace(answer, envelope=answer.envelope + 10 * said)) <= most:
        answer = longer

    assert len(encode(structs.replace(VERDICT, evidence=(answer,) * count))) <= MAX_ENVELOPE_BYTES


def test_who_is_asked_for_several_things_shares_the_room() -> None:
    """Of a contract's owners and of whom a policy names, for one."""
    lawyers, owner = Approvers(roles=("lawyer",), count=2), Approvers(people=("ada",))

    assert most_evidence([owner]) // 3 == most_evidence([lawyers, owner])
