"""
List every code that a check of documents can end with: how grave it is, why it matters, what mends it.

A code never changes its meaning, for pipelines and waivers name it. An *error* keeps a document from being
published, and the topic's readers refuse it alike; a *warning* says that a document promises less than it could,
and its author may leave it standing by a waiver with a reason.
"""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from seamwork.documents.problems import Problem, json_path
from seamwork.documents.shape import Document

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Code:
    """What one code stands for."""

    name: str
    severity: Severity
    why: str
    mend: str


def _listed(severity: Severity, *codes: tuple[str, str, str]) -> list[Code]:
    return [Code(name, severity, why, mend) for name, why, mend in codes]


CHAPTERS: dict[str, list[Code]] = {
    "Texts that are no documents": _listed(
        "error",
        ("not-utf-8", "Two readers would see two texts.", "Save the file as UTF-8."),
        ("not-yaml", "Nothing in the file can be relied on.", "Correct the YAML at the place that is named."),
        ("not-json", "What is published is JSON; these bytes are none.", "Publish with `seamwork publish`."),
        (
            "not-canonical",
            "Two encodings of one document would pass for two.",
            "Publish with `seamwork publish`.",
        ),
        ("empty", "A check of nothing would always be clean.", "Name files that hold documents."),
        ("duplicate-key", "Of two values for one key each reader may take another.", "Keep one of them."),
        (
            "merge-key",
            "YAML 1.1 merges by it and YAML 1.2 does not; two readers would see two documents.",
            "Write the fields out.",
        ),
        ("key", "JSON knows keys of text only.", "Put the key in quotation marks."),
        ("tag", "Tags make YAML run code elsewhere; nothing here reads them.", "Leave the tag out."),
        ("alias", "The alias names nothing that is finished there.", "Write the value out."),
        ("number", "JSON has no infinite numbers, and nobody means one.", "Write a finite number."),
        ("text", "Half of a character cannot be written down again.", "Write the character."),
        ("too-deep", "Nesting like this is made for parsers, not for people.", "Flatten the document."),
        (
            "too-large",
            "A few lines of aliases can fill a memory; so size is bounded with aliases counted.",
            "Make the document smaller; a contract is something that a person reads aloud.",
        ),
        ("not-a-document", "Nothing says what it is.", "Begin with apiVersion, kind, metadata and spec."),
        ("unknown-kind", "Nobody would read it.", "Use one of the kinds of the guide."),
        ("unknown-version", "Its fields would be guessed at.", "Write `apiVersion: seamwork.dev/v1`."),
        (
            "unknown-field",
            "A misspelt field is a promise that nobody reads.",
            "Correct its name or take it out.",
        ),
        (
            "missing-field",
            "The document does not say what its kind must say, as a contract its owner.",
            "Add it.",
        ),
        ("unknown-value", "Nobody knows what to do with this value.", "Use one of those that are allowed."),
        ("invalid", "The value cannot mean anything here.", "See the message; it says which form is wanted."),
        ("not-built-yet", "Naming what nothing obeys would be a promise that nobody keeps.", "Leave it out."),
    ),
    "Schemas": _listed(
        "error",
        (
            "unknown-keyword",
            "A validator passes over a misspelt keyword, so it checks nothing.",
            "Correct it; marks of your own begin with `x-`.",
        ),
        (
            "unknown-dialect",
            "Keywords mean different things in different drafts.",
            "Write JSON Schema 2020-12.",
        ),
        (
            "unknown-format",
            "A format that nobody knows checks nothing.",
            "Use a format of JSON Schema 2020-12.",
        ),
        ("nested-id", "It moves where references lead.", "Take the inner `$id` out."),
        (
            "remote-reference",
            "It would be fetched, in everybody's network, each time; nothing is fetched.",
            "Copy what it leads to into `$defs`.",
        ),
        ("broken-reference", "It leads nowhere.", "Define it in `$defs`."),
        (
            "endless-reference",
            "It comes back to itself without a step into the value: checking never ends.",
            "Take the circle apart.",
        ),
        (
            "schema-tangled",
            (
                "Its parts apply to one value over and over, it lists more than fifty fractions, five hundred "
                "objects or a thousand fields on which others depend, or asks for what nothing described where it "
                "asks already; checking could take for ever."
            ),
            "Refer to each part once, list texts or whole numbers, ask for what is left in one place.",
        ),
        (
            "schema-too-large",
            "A schema of thousands of parts cannot be reviewed, and costs each gate its memory.",
            "Split the contract, or say less.",
        ),
        (
            "pattern-not-linear",
            "A pattern with look-around can take exponential time on a short text.",
            "Write it without look-around and back references.",
        ),
        (
            "pattern-too-large",
            "The pattern takes too much memory once it is compiled.",
            "Use smaller repetitions, or maxLength.",
        ),
        ("schema-invalid", "It is no JSON Schema.", "See the message."),
    ),
    "Rules": _listed(
        "error",
        (
            "rule-does-not-compile",
            "A rule that cannot be read refuses everything.",
            "Correct the expression.",
        ),
        (
            "rule-unknown-field",
            "At run time a misspelt field is an error, and every crossing is refused.",
            "Use a field that the schema has.",
        ),
        (
            "rule-absent-field",
            "Without the field the rule is an error, and refuses a crossing that the schema allows.",
            "Put the field into `required`, or ask for it first: `has(this.note) && …`.",
        ),
        ("rule-type", "The types never go together, so the rule never holds.", "Compare like with like."),
        (
            "rule-dates-as-text",
            "As texts `2026-03-01T09:00:00+02:00` and `…Z` sort by their spelling.",
            "Wrap both in `timestamp()`.",
        ),
        (
            "rule-unbounded",
            (
                "It goes through a list without a bound; a rule that is not done after 10,000 steps "
                "refuses, and nobody knows which crossing will be the first."
            ),
            "Give the array a `maxItems`.",
        ),
        (
            "rule-too-long",
            (
                "In the worst case that the schema allows it takes more than 10,000 steps, and refuses "
                "crossings that are right, or reads so much again in each step that a gate stands still."
            ),
            "Lower `maxItems`, `maxLength` or `limits.payloadBytes`, or compare without nesting.",
        ),
    ),
    "What a contract says of itself": [
        *_listed(
            "error",
            (
                "check-failed",
                "The check itself stumbled over it, and what cannot be checked is refused.",
                "Write it in a plainer way, and report it.",
            ),
            (
                "example-differs",
                "The contract does not mean what its author thinks.",
                "Correct rule or example.",
            ),
            (
                "example-unknown-rule",
                "The example expects a refusal by a rule that there is not.",
                "Name a rule of the promise, `schema` or `undeclared-field`.",
            ),
            (
                "example-unknown-outcome",
                "The example is for an outcome that the contract does not have.",
                "Add the outcome, or correct the example.",
            ),
            ("masking-unknown-field", "The mark hides nothing.", "Name a field that a schema has."),
            ("summary-slot", "The slot stays empty for whoever must decide.", "Write `{{ this.field }}`."),
            (
                "summary-unknown-field",
                "The slot stays empty for whoever must decide.",
                "Name a field of the input.",
            ),
            (
                "unknown-owner",
                "The person to be asked is none of the owners.",
                "Add them to `owners.escalation`, or name one who is there.",
            ),
            (
                "unknown-counter",
                "Nobody can count what the limit is about.",
                "Use one of the counters of the guide.",
            ),
            (
                "escalation-unknown-field",
                "The confidence would never be found, and nobody asked.",
                "Name a number that the outputs have.",
            ),
        ),
        *_listed(
            "warning",
            ("open-object", "Fields that nobody declared may cross.", "Say `additionalProperties: false`."),
            (
                "unbounded-string",
                "A model fills whatever room it gets.",
                "Say `maxLength`, an `enum`, a bounded `pattern` or a `format`.",
            ),
            (
                "unbounded-array",
                "A list without an end ends in somebody's context window.",
                "Say `maxItems`.",
            ),
            (
                "unbounded-integer",
                "JSON integers have no end; rules and databases have 64 bits.",
                "Say `minimum` and `maximum`.",
            ),
            (
                "prose-only-output",
                "An answer in prose can only be checked by reading it.",
                "Give what the receiver acts on a field of its own.",
            ),
            (
                "missing-outcome",
                "Work ends half done whether the contract has a word for it or not.",
                "Add `outputs.partial`, or say why there is no half.",
            ),
            (
                "partial-without-assumptions",
                "A receiver that does not know what it may rely on relies on all of it.",
                "Say it in `assume`.",
            ),
            (
                "rule-unknown-fact",
                "At run time it is an error, and every crossing that the rule is asked about is refused.",
                "Use what `envelope` and `task` have: the guide on documents lists it.",
            ),
            (
                "rule-without-example",
                "Nobody has seen the rule refuse anything.",
                "Add an example that names the rule in `violates`.",
            ),
            (
                "owner-not-named",
                "The owner is the one that a draft names; refusals and cases would reach nobody.",
                "Say which team answers for the seam, and how it is reached.",
            ),
            (
                "output-without-example",
                "Nobody has seen an answer of this outcome that is right.",
                "Add an example without `violates`.",
            ),
        ),
    ],
    "Documents that go together": [
        *_listed(
            "error",
            (
                "version-conflict",
                "One version with two contents: whoever relies on it relies on one of two.",
                "Raise `metadata.version`.",
            ),
            (
                "precondition-unknown-outcome",
                "The condition waits for an outcome that the contract does not have.",
                "Name an outcome that it has.",
            ),
        ),
        # Warnings, for what is missing may be published next.
        *_listed(
            "warning",
            (
                "unknown-contract",
                "The document names a contract that is not there.",
                "Correct the name, or add the contract.",
            ),
            ("no-such-version", "No version that is there lies in the range.", "Correct the range."),
            (
                "unknown-agent",
                "The document names an agent that is not there.",
                "Correct the name, or add the agent.",
            ),
            (
                "unknown-capability",
                "No agent offers it.",
                "Correct the name, or let an agent offer it.",
            ),
            (
                "unknown-budget",
                "The agent draws on a budget that is not there.",
                "Correct the name, or add the budget.",
            ),
            ("unknown-gate", "The gate is to take the place of one that is not there.", "Correct the name."),
            (
                "policy-not-enforced",
                "What its rules demand is only recorded.",
                "Let it be, and say `mode: enforce` in the version that follows; verdicts say what it would do.",
            ),
            (
                "approvers-missing",
                "Fewer people hold the role than must say yes, so nothing would ever be approved.",
                "Give people the role, or ask fewer.",
            ),
        ),
    ],
    "Flows": [
        *_listed(
            "error",
            (
                "edge-does-not-fit",
                "What is sent may be something that its receiver refuses.",
                "Narrow the producer's schema, or widen the consumer's.",
            ),
        ),
        *_listed(
            "warning",
            (
                "edge-not-a-producer",
                "The contract refuses everything from this agent.",
                "Add it to `producers`, or lead the edge from another.",
            ),
            (
                "edge-not-a-consumer",
                "Nobody at the end of the edge may take the work.",
                "Add the agent to `consumers`, or let it accept the contract.",
            ),
            (
                "edge-version-unaccepted",
                "The producer may send a version that no receiver accepts.",
                "Narrow the edge's `versions`, or widen what the receiver accepts.",
            ),
            (
                "edge-owner-differs",
                "The seam is said to be owned downstream, and its owner is not the receiver's team.",
                "Name the receiver's team, or say `ownership: joint` or `platform`.",
            ),
            (
                "edge-without-deadline",
                "Nobody decided how long the work may take; the default decides.",
                "Say `limits.timeSeconds`.",
            ),
            (
                "edge-without-failure-handling",
                "Nobody decided what follows a failure; the default decides.",
                "Say `onViolation`, `onTimeout` and `onError`.",
            ),
            (
                "edge-without-fallback",
                "When the receiver is down, so is the flow.",
                "Name `fallbacks`, or waive it with the reason why nobody else can do it.",
            ),
            (
                "edge-without-escalation",
                "When all else fails nobody is called.",
                "Say `owners.escalation`.",
            ),
            (
                "cycle-without-bound",
                "Work may go round until money or time are used up.",
                "Say `atMost` on one edge.",
            ),
            (
                "flow-not-enforced",
                "Along its edges what a contract or a policy refuses goes on, and is only recorded.",
                "Let it be, and say `mode: enforce` in the version that follows; `seamwork flow report` says when.",
            ),
            (
                "agent-without-reason",
                "Each further agent costs a seam; nobody said what it is for.",
                "Say `because` on the edge: domain, parallel-work or compliance-boundary.",
            ),
        ),
    ],
    "Changes": _listed(
        "error",
        (
            "version-bump-too-small",
            "The version says that the change is smaller than it is: whoever trusts the number breaks.",
            "Raise `metadata.version` as the message says.",
        ),
    ),
    "Waivers": [
        *_listed(
            "error",
            (
                "waiver-not-possible",
                "What is waived is an error, or no finding at all.",
                "Take the waiver out.",
            ),
        ),
        *_listed(
            "warning",
            (
                "waiver-unused",
                "It waives what is not there any more, and would hide its return.",
                "Take it out.",
            ),
        ),
    ],
}

CODES = MappingProxyType({code.name: code for chapter in CHAPTERS.values() for code in chapter})
"""Every code by its name."""


def found(
    document: Document, path: tuple[str | int, ...], code: str, message: str, mend: str | None = None
) -> Problem:
    """Make the finding *code* about the part of *document* at *path*; without *mend* the code's own."""
    told = mend_of(code) if mend is None else mend
    return Problem(document.place(*path), json_path(path), code, message, told, CODES[code].severity)


def mend_of(code: str) -> str:
    """Return what mends a finding of *code*, as the end of a sentence."""
    mend = CODES[code].mend
    return mend[:1].lower() + mend[1:].rstrip(".")
