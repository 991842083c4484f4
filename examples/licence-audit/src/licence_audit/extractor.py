"""
Step two: typed licence facts from parsed metadata, each resting on evidence that can be looked up.

Rule 1: a well-formed ``License-Expression`` decides (metadata 2.4 makes it the authoritative field);
then the ``License`` field, then the classifiers, then the licence files, the first that names a licence.
Rule 2: what decides is taken whole. Every identifier that it mentions is in the facts.
Rule 3: what does not decide is evidence all the same, and evidence that disagrees is named.
"""

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

from licence_audit import expression
from licence_audit.facts import MAX_EVIDENCE, Basis, Evidence, EvidenceKind, LicenceFacts, ParsedMetadata
from licence_audit.known_licences import CLASSIFIERS, PHRASES, SAYS_NOTHING, recognise, words

_SHORT_FIELD_CHARS = 100


class Mention(NamedTuple):
    """What one place says: the tree it amounts to, with enough to find the place again."""

    kind: EvidenceKind
    source: str
    tree: expression.Expression
    sha256: str


def extract(parsed: ParsedMetadata) -> LicenceFacts:
    """Settle what a distribution's licence is, and on what evidence."""
    mentions = tuple(_mentions(parsed))[:MAX_EVIDENCE]
    basis, tree = settle(mentions)
    return facts(parsed, basis, tree, mentions)


def facts(
    parsed: ParsedMetadata, basis: Basis, tree: expression.Expression | None, mentions: tuple[Mention, ...]
) -> LicenceFacts:
    """Write the facts down: the settled tree, the evidence, and which of it disagrees."""
    settled = () if tree is None else expression.identifiers(tree)
    evidence = tuple(
        Evidence(
            id=f"e{number}",
            kind=mention.kind,
            source=mention.source,
            identifiers=expression.identifiers(mention.tree),
            sha256=mention.sha256,
        )
        for number, mention in enumerate(mentions, start=1)
    )
    return LicenceFacts(
        ref=parsed.ref,
        metadata_sha256=parsed.metadata_sha256,
        basis=basis,
        expression=None if tree is None else expression.render(tree),
        identifiers=settled,
        evidence=evidence,
        disagreeing=tuple(each.id for each in evidence if not set(each.identifiers) <= set(settled)),
    )


def legacy_mentions(parsed: ParsedMetadata) -> Iterator[Mention]:
    """Yield what the places of metadata before 2.4 say: the field, the classifiers, the files."""
    if parsed.licence_field is not None:
        tree = read_field(parsed.licence_field)
        if tree is not None:
            yield Mention("field", "License", tree, digest(parsed.licence_field))
    for classifier in parsed.licence_classifiers:
        identifier = CLASSIFIERS.get(classifier)
        if identifier is not None:
            yield Mention("classifier", classifier, expression.Licence(identifier), digest(classifier))
    for file in parsed.licence_files:
        found = recognise(file.head)
        if found:
            tree = expression.join("AND", tuple(expression.Licence(identifier) for identifier in found))
            yield Mention("text", file.path, tree, file.sha256)


def read_field(text: str) -> expression.Expression | None:
    """
    Read the free text of the ``License`` field.

    Returns:
        ``None`` where it names no single licence: empty, "UNKNOWN", "BSD", a sentence.
    """
    short = words(text)
    if not short or short in SAYS_NOTHING:
        return None
    if len(text) > _SHORT_FIELD_CHARS or "\n" in text:
        found = recognise(text)
        return expression.join("AND", tuple(map(expression.Licence, found))) if found else None
    if short in PHRASES:
        return expression.Licence(PHRASES[short])
    return _listed(text)


def digest(text: str) -> str:
    """Return the SHA-256 of a text's UTF-8 bytes."""
    return hashlib.sha256(text.encode()).hexdigest()


def _mentions(parsed: ParsedMetadata) -> Iterator[Mention]:
    if parsed.licence_expression is not None and parsed.expression_state == "well-formed":
        tree = expression.parse(parsed.licence_expression)
        yield Mention("expression", "License-Expression", tree, digest(parsed.licence_expression))
    yield from legacy_mentions(parsed)


def settle(mentions: tuple[Mention, ...]) -> tuple[Basis, expression.Expression | None]:
    """Take the first kind of place that names a licence; several of that kind all apply."""
    kinds: tuple[EvidenceKind, ...] = ("expression", "field", "classifier", "text")
    for kind in kinds:
        trees = tuple(dict.fromkeys(mention.tree for mention in mentions if mention.kind == kind))
        if trees:
            # Old metadata cannot say whether several licences are a choice. Read strictly: all apply.
            return kind, expression.join("AND", trees)
    return "none", None


def _listed(text: str) -> expression.Expression | None:
    try:
        tree = expression.parse(text)
    except expression.NotAnExpressionError:
        return None
    # "BSD" and "Proprietary" follow the grammar; only listed identifiers make it an expression.
    return tree if all(map(expression.is_listed, expression.licences(tree))) else None
