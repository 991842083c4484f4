"""
The typed objects that the audit's steps hand to one another.

They become the contracts' schemas, so everything is closed and bounded: no integer, text or list
without a limit, because what crosses a seam is judged by rules whose cost grows with its size.
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from licence_audit.expression import MAX_EXPRESSION_CHARS, MAX_IDENTIFIERS

MAX_PACKAGES = 400
MAX_EVIDENCE = 32
MAX_LICENCE_FILES = 8
HEAD_CHARS = 2_000
MAX_MARKDOWN_CHARS = 150_000
# Written out in the normal form, an expression may gain a space or a parenthesis: hence less than
# what the reader accepts.
DECLARED_CHARS = 500

Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.+:-]{1,64}$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=128)]
Version = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Line = Annotated[str, StringConstraints(max_length=300)]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=500)]
ExpressionText = Annotated[str, StringConstraints(min_length=1, max_length=MAX_EXPRESSION_CHARS)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0, le=100_000)]
Source = Literal["environment", "samples"]

# Lists arrive as JSON arrays or as Python lists; the objects keep them as tuples. Only that one
# conversion is allowed, the values inside stay strict.
Identifiers = Annotated[tuple[Identifier, ...], Field(max_length=MAX_IDENTIFIERS, strict=False)]

ExpressionState = Literal["absent", "well-formed", "malformed"]
Exceptions = Literal["ask", "report"]
EvidenceKind = Literal["expression", "field", "classifier", "text"]
Basis = Literal["expression", "field", "classifier", "text", "none"]
Standing = Literal["allowed", "copyleft", "forbidden", "unlisted"]
FindingStatus = Literal["allowed", "needs-approval", "not-approved", "unknown", "no-licence"]
EntryStatus = Literal[
    "allowed", "allowed-by-exception", "needs-approval", "not-approved", "unknown", "no-licence", "incomplete"
]


class Payload(BaseModel):
    """What crosses a seam: immutable, closed, and read without turning one type into another."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class DistributionRef(Payload):
    """
    Which distribution is meant, without a path: its metadata directory's name under a known root.

    A path in a payload would let whoever writes the payload choose what the parser reads. The
    directory's name is matched against what the parser finds itself under its own roots.
    """

    name: Name
    version: Version
    source: Source
    metadata_dir: Annotated[str, StringConstraints(pattern=r"^[^/\\]{1,200}\.(dist|egg)-info$")]


class AuditRequest(Payload):
    """
    What to audit: this environment, the sample distributions, or exactly the listed ones.

    ``only`` lists distributions and switches discovery off; ``carried`` are entries of an earlier
    audit that the new report joins with what it finds, ``left_out`` how many that one did not look at.
    ``exceptions`` says what becomes of copyleft: a person is asked and has ``answer_within_s`` to say
    something, or it is only reported as waiting for approval, for a follow-up to ask.
    """

    title: Annotated[str, StringConstraints(min_length=1, max_length=120)] = "Licence audit"
    environment: bool = True
    samples: bool = True
    exceptions: Exceptions = "ask"
    answer_within_s: Annotated[int, Field(ge=1, le=110)] = 60
    only: Annotated[tuple[DistributionRef, ...], Field(max_length=MAX_PACKAGES, strict=False)] = ()
    carried: "Annotated[tuple[AuditEntry, ...], Field(max_length=MAX_PACKAGES, strict=False)]" = ()
    left_out: Count = 0
    limit: Annotated[int, Field(ge=1, le=MAX_PACKAGES)] = 200


class LicenceFile(Payload):
    """A licence file beside the metadata: where, which bytes, and how it begins."""

    path: Line
    sha256: Sha256
    size_bytes: Annotated[int, Field(ge=0, le=16_777_216)]
    head: Annotated[str, StringConstraints(max_length=HEAD_CHARS)]


class ParsedMetadata(Payload):
    """
    What the distribution says about its licence, as it says it; nothing is interpreted here.

    ``expression_identifiers`` are the identifiers that ``licence_expression`` mentions, found by the
    parser's own reading. The contract of the extractor compares its answer with them, so the two
    readings check each other. They are empty when the text is absent or is not an expression, which
    ``expression_state`` tells apart.
    """

    ref: DistributionRef
    metadata_version: Annotated[str, StringConstraints(max_length=16)] | None
    metadata_sha256: Sha256
    licence_expression: Annotated[str, StringConstraints(max_length=DECLARED_CHARS)] | None
    expression_state: ExpressionState
    expression_identifiers: Identifiers
    licence_field: Annotated[str, StringConstraints(max_length=HEAD_CHARS)] | None
    licence_classifiers: Annotated[tuple[Line, ...], Field(max_length=16, strict=False)]
    licence_file_entries: Annotated[tuple[Line, ...], Field(max_length=32, strict=False)]
    licence_files: Annotated[tuple[LicenceFile, ...], Field(max_length=MAX_LICENCE_FILES, strict=False)]
    problems: Annotated[tuple[Line, ...], Field(max_length=16, strict=False)]


class Evidence(Payload):
    """One place that speaks about the licence: where, which identifiers it mentions, on which bytes."""

    id: Annotated[str, StringConstraints(pattern=r"^e[1-9][0-9]?$")]
    kind: EvidenceKind
    source: Line
    identifiers: Identifiers
    sha256: Sha256


class LicenceFacts(Payload):
    """
    The licence of one distribution as a normalised expression, with the evidence it rests on.

    ``identifiers`` are those of ``expression``. ``disagreeing`` names evidence that mentions an
    identifier which the expression does not contain.
    """

    ref: DistributionRef
    metadata_sha256: Sha256
    basis: Basis
    expression: ExpressionText | None
    identifiers: Identifiers
    evidence: Annotated[tuple[Evidence, ...], Field(max_length=MAX_EVIDENCE, strict=False)]
    disagreeing: Annotated[
        tuple[Annotated[str, StringConstraints(max_length=3)], ...],
        Field(max_length=MAX_EVIDENCE, strict=False),
    ]


class Judgement(Payload):
    """How one identifier stands in the policy."""

    identifier: Identifier
    standing: Standing


class ComplianceFinding(Payload):
    """What the policy of allowed licences says about one distribution, and by which rule."""

    ref: DistributionRef
    metadata_sha256: Sha256
    expression: ExpressionText | None
    status: FindingStatus
    rule: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,40}$")]
    reason: Reason
    judged: Annotated[tuple[Judgement, ...], Field(max_length=MAX_IDENTIFIERS, strict=False)]
    policy_version: Version


class ExceptionRequest(Payload):
    """The wish to use a copyleft distribution all the same; a person decides whether it may be recorded."""

    finding: ComplianceFinding
    use: Reason


class ExceptionRecord(Payload):
    """That a copyleft distribution may be used, for exactly these bytes of metadata."""

    ref: DistributionRef
    metadata_sha256: Sha256
    expression: ExpressionText
    reason: Reason


class AuditEntry(Payload):
    """One row of the report: a finding, or the step at which the check stopped and why."""

    ref: DistributionRef
    status: EntryStatus
    expression: ExpressionText | None
    rule: Annotated[str, StringConstraints(max_length=60)]
    reason: Reason
    step: Literal["parse", "extract", "comply", "except", "done"]


class ReportRequest(Payload):
    """What the report joins: this audit's entries, and those carried from an earlier one."""

    title: Annotated[str, StringConstraints(min_length=1, max_length=120)]
    entries: Annotated[tuple[AuditEntry, ...], Field(max_length=MAX_PACKAGES, strict=False)]
    carried: Annotated[tuple[AuditEntry, ...], Field(max_length=MAX_PACKAGES, strict=False)] = ()
    left_out: Count = 0


class Counts(Payload):
    """How many distributions stand where; every entry counts in exactly one field."""

    allowed: Count = 0
    allowed_by_exception: Count = 0
    needs_approval: Count = 0
    not_approved: Count = 0
    unknown: Count = 0
    no_licence: Count = 0
    incomplete: Count = 0

    @classmethod
    def of(cls, entries: tuple[AuditEntry, ...]) -> Self:
        """Count the entries by status."""
        statuses = [entry.status for entry in entries]
        return cls(
            allowed=statuses.count("allowed"),
            allowed_by_exception=statuses.count("allowed-by-exception"),
            needs_approval=statuses.count("needs-approval"),
            not_approved=statuses.count("not-approved"),
            unknown=statuses.count("unknown"),
            no_licence=statuses.count("no-licence"),
            incomplete=statuses.count("incomplete"),
        )


class AuditReport(Payload):
    """The joined findings: as rows, as counts, and as Markdown for a person."""

    title: Annotated[str, StringConstraints(min_length=1, max_length=120)]
    entries: Annotated[tuple[AuditEntry, ...], Field(max_length=MAX_PACKAGES, strict=False)]
    counts: Counts
    left_out: Count
    markdown: Annotated[str, StringConstraints(max_length=MAX_MARKDOWN_CHARS)]


class Fault(Payload):
    """What went wrong, by a stable name and in a sentence."""

    type: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    message: Annotated[str, StringConstraints(max_length=2_000)]


class Failure(Payload):
    """Why a step has no answer, in the form that the SDK gives to every error."""

    error: Fault


AuditRequest.model_rebuild()
