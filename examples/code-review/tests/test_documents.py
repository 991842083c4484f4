"""What the readme tells to publish is all that a fresh platform needs to admit the work."""

from pathlib import Path

from seamwork.authoring.folder import read_folder

DOCUMENTS = Path(__file__).parents[1] / "documents"


def test_a_policy_is_among_them() -> None:
    """Without one in force everything that the readme goes on to submit is refused as no-policy."""
    kinds = {document.kind for document in read_folder(DOCUMENTS)}

    assert {"Agent", "Budget", "Contract", "Flow", "Policy"} == kinds
