from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licence_audit import extractor, extractor_drifted
from licence_audit.discover import Roots, discover
from licence_audit.facts import AuditRequest, DistributionRef, LicenceFacts, ParsedMetadata
from licence_audit.known_licences import recognise
from licence_audit.parser import parse

Made = Callable[..., tuple[DistributionRef, Roots]]

IDENTIFIERS = ("MIT", "Apache-2.0", "GPL-3.0-or-later", "BSD-2-Clause")
declared = st.lists(st.sampled_from(IDENTIFIERS), min_size=1, max_size=4, unique=True).flatmap(
    lambda chosen: st.sampled_from((" AND ", " OR ")).map(lambda operator: operator.join(chosen))
)

OSI = b"License :: OSI Approved :: "
MIT_TEXT = (
    b"Permission is hereby granted, free of charge, to any person. "
    b"This notice shall be included in all copies."
)


def parsed_with(expression: str, identifiers: tuple[str, ...]) -> ParsedMetadata:
    """Metadata 2.4 that says nothing but its expression."""
    return ParsedMetadata(
        ref=DistributionRef(name="made", version="1", source="samples", metadata_dir="made-1.dist-info"),
        metadata_version="2.4",
        metadata_sha256="0" * 64,
        licence_expression=expression,
        expression_state="well-formed",
        expression_identifiers=identifiers,
        licence_field=None,
        licence_classifiers=(),
        licence_file_entries=(),
        licence_files=(),
        problems=(),
    )


@pytest.mark.parametrize(
    ("metadata", "basis", "expression"),
    [
        (b"License-Expression: mit\nLicense: Apache 2.0\n", "expression", "MIT"),
        (b"License: Apache 2\n", "field", "Apache-2.0"),
        (b"License: The MIT License\n", "field", "MIT"),
        (b"License: 3-Clause BSD License\n", "field", "BSD-3-Clause"),
        (b"License: MIT OR Apache-2.0\n", "field", "MIT OR Apache-2.0"),
        (b"License: " + MIT_TEXT + b"\n", "field", "MIT"),
        (b"License: UNKNOWN\nClassifier: License :: OSI Approved :: MIT License\n", "classifier", "MIT"),
        (b"License: BSD\nClassifier: License :: OSI Approved :: BSD License\n", "none", None),
        (b"License: Proprietary\n", "none", None),
        (b"License-Expression: MIT AND\n", "none", None),
        (
            b"Classifier: " + OSI + b"MIT License\nClassifier: " + OSI + b"Apache Software License\n",
            "classifier",
            "MIT AND Apache-2.0",
        ),
        (b"", "none", None),
    ],
)
def test_the_first_place_that_names_a_licence_decides(
    made: Made, metadata: bytes, basis: str, expression: str | None
) -> None:
    """Expression, field, classifiers, files: in that order, and what names no one licence does not count."""
    facts = extractor.extract(parse(*made(metadata)))

    assert (basis, expression) == (facts.basis, facts.expression)


def test_evidence_that_disagrees_is_named(made: Made) -> None:
    """What does not decide stands in the facts, and its id says that it disagrees."""
    facts = extractor.extract(parse(*made(b"License-Expression: Apache-2.0\n", LICENSE=MIT_TEXT)))

    assert [("e1", ("Apache-2.0",)), ("e2", ("MIT",))] == [
        (each.id, each.identifiers) for each in facts.evidence
    ]
    assert ("e2",) == facts.disagreeing


@pytest.mark.parametrize(
    ("text", "identifiers"),
    [
        ("GNU General Public License\nVersion 3", ("GPL-3.0-only",)),
        ("GNU General Public License, version 3 or any later version", ("GPL-3.0-or-later",)),
        ("GNU Lesser General Public License, version 2.1", ("LGPL-2.1-only",)),
        ("Redistribution and use in source and binary forms ... Neither the name", ("BSD-3-Clause",)),
        ("All rights reserved.", ()),
    ],
)
def test_a_text_is_recognised_by_its_phrases(text: str, identifiers: tuple[str, ...]) -> None:
    """Each family has phrases that tell its members apart."""
    assert identifiers == recognise(text)


@given(declared)
def test_the_facts_account_for_every_identifier(text: str) -> None:
    """The extractor takes a declared expression whole."""
    identifiers = tuple(word for word in text.split() if word not in {"AND", "OR"})

    assert identifiers == extractor.extract(parsed_with(text, identifiers)).identifiers


@given(declared)
def test_the_drift_never_fails_the_typed_model(text: str) -> None:
    """The drifted object is valid, consistent in itself, and rests on evidence, whatever it lost."""
    identifiers = tuple(word for word in text.split() if word not in {"AND", "OR"})

    facts = extractor_drifted.extract(parsed_with(text, identifiers))

    assert facts == LicenceFacts.model_validate_json(facts.model_dump_json())
    assert identifiers[:1] == facts.identifiers == facts.evidence[0].identifiers
    assert () == facts.disagreeing


def test_the_drift_changes_compound_expressions_alone(roots: Roots) -> None:
    """Whatever is not a compound License-Expression is settled as the right extractor settles it."""
    changed: list[ParsedMetadata] = []
    same: list[ParsedMetadata] = []
    for ref in discover(AuditRequest(limit=400), roots).refs:
        parsed = parse(ref, roots)
        right, drifted = extractor.extract(parsed), extractor_drifted.extract(parsed)
        told_the_same = (right.basis, right.expression, right.identifiers) == (
            drifted.basis,
            drifted.expression,
            drifted.identifiers,
        )
        (same if told_the_same else changed).append(parsed)

    assert all(len(parsed.expression_identifiers) > 1 for parsed in changed)
    assert all(len(parsed.expression_identifiers) < 2 for parsed in same)
    assert changed
