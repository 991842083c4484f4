import importlib.metadata
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from licence_audit.discover import Discovered, Roots, UnknownDistributionError, discover
from licence_audit.facts import AuditRequest, DistributionRef, ParsedMetadata
from licence_audit.parser import parse

Made = Callable[..., tuple[DistributionRef, Roots]]


def test_discovery_finds_what_the_standard_library_finds(roots: Roots) -> None:
    """No distribution of this environment is missing, and none is made up."""
    found = discover(AuditRequest(samples=False, limit=400), roots)

    installed = {each.metadata["Name"] for each in importlib.metadata.distributions()}
    assert installed == {ref.name for ref in found.refs}


def test_a_limit_says_how_many_it_leaves_out(roots: Roots) -> None:
    """The samples come first, and what does not fit is counted and not forgotten."""
    everything = discover(AuditRequest(limit=400), roots)

    some = discover(AuditRequest(limit=10), roots)

    assert Discovered(everything.refs[:10], len(everything.refs) - 10) == some
    assert "samples" == some.refs[0].source


@pytest.mark.parametrize(
    "name",
    [b"caf\xe9-1.0.dist-info", b"a\\b-1.0.dist-info", b"x" * 240 + b"-1.0.dist-info"],
    ids=lambda _: "",
)
def test_a_directory_that_cannot_be_referred_to_is_counted_and_stops_nothing(
    name: bytes, tmp_path: Path
) -> None:
    """An audit goes on and says so: one odd name among hundreds is no reason to look at none."""
    try:
        os.mkdir(os.path.join(os.fsencode(tmp_path), name))  # noqa: PTH102, PTH118  # bytes, that are no text
    except OSError:
        pytest.skip("the file system takes no such name")
    (tmp_path / "good-1.0.dist-info").mkdir()

    found = discover(AuditRequest(samples=False), Roots((tmp_path,), tmp_path))

    assert ["good"] == [ref.name for ref in found.refs]
    assert 1 == found.left_out


def test_listed_distributions_switch_discovery_off(roots: Roots) -> None:
    """A follow-up audits what it names, in its order, each once."""
    first, second = discover(AuditRequest(limit=2), roots).refs

    found = discover(AuditRequest(only=(second, first, second)), roots)

    assert (second, first) == found.refs


def test_every_distribution_here_can_be_parsed(roots: Roots) -> None:
    """Real metadata, as messy as it is, fits the typed model."""
    parsed = [parse(ref, roots) for ref in discover(AuditRequest(limit=400), roots).refs]

    assert parsed == [ParsedMetadata.model_validate_json(each.model_dump_json()) for each in parsed]


def test_metadata_that_is_not_utf8_is_read_and_remarked(made: Made) -> None:
    """Latin-1 reads any byte, and the remark says that it was needed."""
    parsed = parse(*made("Name: made\nLicense: frei für alle\n".encode("latin-1")))

    assert "frei für alle" == parsed.licence_field
    assert ("metadata is not UTF-8; read as Latin-1",) == parsed.problems


def test_empty_metadata_is_a_finding_and_no_crash(made: Made) -> None:
    """A distribution that says nothing is parsed into an object that says nothing."""
    parsed = parse(*made(b""))

    assert (None, "absent", (), None) == (
        parsed.licence_expression,
        parsed.expression_state,
        parsed.expression_identifiers,
        parsed.licence_field,
    )
    assert ("the metadata file has no headers",) == parsed.problems


def test_the_parser_counts_the_identifiers_of_an_expression(made: Made) -> None:
    """They are spelled as the list spells them, exceptions included, operators left out."""
    parsed = parse(*made(b"License-Expression: (mit or apache-2.0 with llvm-exception) and ISC\n"))

    assert ("MIT", "Apache-2.0", "LLVM-exception", "ISC") == parsed.expression_identifiers


def test_a_torn_expression_is_told_from_an_absent_one(made: Made) -> None:
    """Malformed and absent both mention nothing, for different reasons."""
    parsed = parse(*made(b"License-Expression: MIT AND\n"))

    assert ("malformed", (), "MIT AND") == (
        parsed.expression_state,
        parsed.expression_identifiers,
        parsed.licence_expression,
    )


def test_licence_files_are_found_declared_or_not(made: Made) -> None:
    """A licence file that no entry declares still speaks."""
    parsed = parse(*made(b"Name: made\n", LICENSE=b"Apache License", **{"COPYING.txt": b"MIT"}))

    assert ["COPYING.txt", "LICENSE"] == [file.path for file in parsed.licence_files]


@pytest.mark.parametrize("entry", ["../secret", "../../secret", "/etc/hostname", "link"])
def test_an_entry_cannot_lead_out_of_the_directory(made: Made, tmp_path: Path, entry: str) -> None:
    """A hostile License-File entry or link reads nothing, and is remarked."""
    (tmp_path / "secret").write_text("not a licence")
    ref, roots = made(f"Name: made\nLicense-File: {entry}\n".encode())
    (tmp_path / ref.metadata_dir / "link").symlink_to(tmp_path / "secret")

    parsed = parse(ref, roots)

    assert () == parsed.licence_files


@pytest.mark.parametrize(
    "entry", ["a" * 300, "LICENSE"], ids=["a name too long for any file", "a link to itself"]
)
def test_an_entry_that_is_no_file_stops_nothing(made: Made, tmp_path: Path, entry: str) -> None:
    """A file system raises at names that are too long and at links that go round; neither is a licence."""
    ref, roots = made(f"Name: made\nVersion: 1\nLicense-File: {entry}\n".encode())
    (tmp_path / ref.metadata_dir / "LICENSE").symlink_to("LICENSE")

    assert () == parse(ref, roots).licence_files


def test_a_file_whose_name_is_no_text_is_read(made: Made, tmp_path: Path) -> None:
    """Its name cannot cross a seam as it is; what it says can."""
    ref, roots = made(b"Name: made\nVersion: 1\n")
    directory = os.fsencode(tmp_path / ref.metadata_dir)
    try:
        with open(directory + b"/LICENSE-\xff", "w", encoding="utf-8") as file:  # noqa: PTH123  # no text
            file.write("MIT License")
    except OSError:
        pytest.skip("the file system takes no such name")

    assert ["LICENSE-?"] == [each.path for each in parse(ref, roots).licence_files]


def test_a_reference_to_nothing_is_refused(roots: Roots) -> None:
    """A payload cannot make the parser read what discovery would not find."""
    ref = DistributionRef(name="x", version="1", source="samples", metadata_dir="..-info.dist-info")

    with pytest.raises(UnknownDistributionError, match="discover the distributions again"):
        parse(ref, roots)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(metadata=st.binary(max_size=400), licence=st.binary(max_size=400))
def test_any_bytes_parse_into_the_typed_model(tmp_path: Path, metadata: bytes, licence: bytes) -> None:
    """No metadata and no licence file, however broken, stops an audit."""
    directory = tmp_path / "any-1.dist-info"
    directory.mkdir(exist_ok=True)
    (directory / "METADATA").write_bytes(metadata)
    (directory / "LICENSE").write_bytes(licence)
    roots = Roots(environment=(), samples=tmp_path)
    (ref,) = discover(AuditRequest(environment=False), roots).refs

    parsed = parse(ref, roots)

    assert parsed == ParsedMetadata.model_validate_json(parsed.model_dump_json())
