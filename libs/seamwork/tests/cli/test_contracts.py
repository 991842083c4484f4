"""``seamwork contracts check`` and ``diff`` work without a platform, in anyone's CI."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from seamwork.cli import seamwork

REFUND = Path(__file__).parents[1] / "contracts" / "refund-request.yaml"


def contracts(*arguments: object) -> Result:
    """Type a command."""
    return CliRunner().invoke(seamwork, ["contracts", *map(str, arguments)])


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    """Write a contract with nothing to find."""
    text = REFUND.read_text(encoding="utf-8")
    text = text.replace(", severity: warn,", ",").replace(
        "  summary:\n", "  waivers: [{finding: missing-outcome, reason: paid or not}]\n  summary:\n", 1
    )
    text = text.replace(
        "    - name: early",
        "    - name: many\n      violates: [small-basket]\n      payload: {ordered_at: '2026-03-01T09:00:00Z', "
        "asked_at: '2026-03-04T10:00:00Z', refund_minor: 1, lines: ["
        + ", ".join(["{qty: 1, unit_minor: 1}"] * 21)
        + "]}\n    - name: early",
    )
    path = tmp_path / "contracts" / "refund.yaml"
    path.parent.mkdir()
    path.write_text(text, encoding="utf-8")
    return path


def test_exit_status_says_what_came_of_it(clean: Path, tmp_path: Path) -> None:
    """0 clean, 1 findings, 2 could not run."""
    assert (0, "1 documents: 0 errors, 0 warnings, 1 waived\n") == (
        (done := contracts("check", clean)).exit_code,
        done.output,
    )
    assert 0 == contracts("check", clean.parent).exit_code
    assert 1 == contracts("check", REFUND).exit_code
    assert 2 == contracts("check", tmp_path / "nowhere").exit_code
    assert 2 == contracts("check", clean, "--against", tmp_path / "nowhere").exit_code


def test_a_file_that_cannot_be_read_keeps_none_of_the_others_from_being_checked(clean: Path) -> None:
    """One run tells everything."""
    (clean.parent / "broken.yaml").write_text("a: 1\na: 2\n", encoding="utf-8")
    (clean.parent / "other.yaml").write_text(REFUND.read_text(encoding="utf-8"), encoding="utf-8")
    told = json.loads(contracts("check", clean.parent, "--format", "json").output)

    assert ["duplicate-key", "rule-without-example", "missing-outcome"] == [
        f["code"] for f in told["findings"]
    ]


def test_sarif_comes_out_whole(clean: Path) -> None:
    """Nothing but the log is on standard output."""
    log = json.loads(contracts("check", clean, REFUND.parent / REFUND.name, "--format", "sarif").output)

    assert "2.1.0" == log["version"]


def test_against_a_folder_the_version_must_say_how_large_the_change_is(clean: Path, tmp_path: Path) -> None:
    """The narrowed maximum is a major change, shown with a document that is newly refused."""
    text = clean.read_text(encoding="utf-8")
    new = tmp_path / "new.yaml"
    narrowed = text.replace("maxItems: 50", "maxItems: 10").replace(
        "many\n      violates: [small", "many\n      violates: ["
    )
    narrowed = narrowed.replace("violates: [-basket]", "violates: [schema]").replace(
        "size(this.lines) <= 20", "size(this.lines) > 0"
    )
    new.write_text(narrowed.replace("version: 1.2.0", "version: 1.3.0"), encoding="utf-8")
    told = json.loads(contracts("check", new, "--against", clean.parent, "--json").output)
    (finding,) = [f for f in told["findings"] if f["code"] == "version-bump-too-small"]

    assert "call it 2.0.0, or take the change back" == finding["mend"]
    assert "for example" in finding["message"]
    assert 3 == finding["line"]


def test_a_difference_is_told_in_both_directions(clean: Path, tmp_path: Path) -> None:
    """With true, false or null, and a document that is newly refused."""
    new = tmp_path / "new.yaml"
    new.write_text(
        clean.read_text(encoding="utf-8").replace("maximum: 1000}", "maximum: 900}"), encoding="utf-8"
    )
    done = contracts("diff", clean, new, "--json")
    told = json.loads(done.output)

    assert (1, False, True, "forward", "major") == (
        done.exit_code, told["backward"], told["forward"], told["compatible"], told["bump"]
    )  # fmt: skip
    assert "refused" in told["parts"][0]["backward"]
    assert ["input", "success", "error"] == [part["on"] for part in told["parts"]]
    assert "newly refused, for example:" in contracts("diff", clean, new).output
    assert 0 == contracts("diff", clean, clean).exit_code


def test_bare_schemas_are_compared_too(tmp_path: Path) -> None:
    """In JSON as in YAML; unknown is null and not compatible."""
    old, new, faulty = tmp_path / "old.json", tmp_path / "new.yaml", tmp_path / "faulty.json"
    old.write_text('{"type": "string", "pattern": "^[a-z]{2}$"}', encoding="utf-8")
    new.write_text("type: string\npattern: ^[a-z]{2,3}$\n", encoding="utf-8")
    faulty.write_text('{"type": "string", "patern": "^[a-z]{2}$"}', encoding="utf-8")
    done = contracts("diff", old, new, "--json")

    assert (1, None, False) == (
        done.exit_code,
        json.loads(done.output)["backward"],
        json.loads(done.output)["forward"],
    )
    assert 2 == contracts("diff", old, REFUND).exit_code
    assert 2 == contracts("diff", old, tmp_path / "none.json").exit_code
    assert "unknown-keyword" in str(contracts("diff", old, faulty).exception)


def test_examples_are_tried_without_hypothesis(clean: Path) -> None:
    """Where no payloads are made nothing is needed to make them; where they are, what is missing is named."""
    script = "import sys; sys.modules['hypothesis'] = None; from seamwork.cli import main; main()"
    typed = [sys.executable, "-c", script, "contracts", "test", str(clean), "--examples"]
    without, with_some = (
        subprocess.run([*typed, count], capture_output=True, text=True, check=False) for count in ("0", "5")
    )

    assert 0 == without.returncode, without.stderr
    assert "trials passed" in without.stdout
    assert 2 == with_some.returncode
    assert "pip install 'seamwork[authoring]', or --examples 0" in with_some.stderr


def test_an_agent_that_names_no_key_is_the_one_that_was_published_with_one(tmp_path: Path) -> None:
    """Whoever publishes adds it; the file in the repository has none, and nothing of it has changed."""
    said = (
        "apiVersion: seamwork.dev/v1\nkind: Agent\nmetadata: {name: parser, version: 1.0.0}\n"
        "spec: {offers: [%s]%s}\n"
    )
    key = f", keys: [{{kid: agent-parser-1, public: {'A' * 43}=}}]"
    for name, text in (
        ("mine", said % ("parse", "")),
        ("published", said % ("parse", key)),
        ("other", said % ("x", "")),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "agent.yaml").write_text(text, encoding="utf-8")

    same = contracts("check", tmp_path / "mine", "--against", tmp_path / "published")
    changed = contracts("check", tmp_path / "other", "--against", tmp_path / "published")

    assert 0 == same.exit_code, same.output
    assert 1 == changed.exit_code
    assert "agent.yaml:3:" in changed.output
    assert "version-conflict" in changed.output
