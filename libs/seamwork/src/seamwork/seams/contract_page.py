"""
Set a contract as a page: who answers for its seams at two in the morning, what may cross, and how it came to be so.

The runbook stands first, because whoever opens the page at night reads no further.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from seamwork.contracts.compare import NOTHING
from seamwork.contracts.compiled import promises
from seamwork.contracts.difference import Difference, Way, compare_contracts
from seamwork.contracts.masking import Mask
from seamwork.documents.agent import Agent
from seamwork.documents.consent import Consent
from seamwork.documents.contract import Contract, Promise
from seamwork.documents.versions import accepts
from seamwork.records.wire import rfc3339
from seamwork.seams.fields import MOST, fields
from seamwork.seams.page import Block, Cell, Folded, Heading, Page, Points, Table, Tone, Verbatim, Words
from seamwork.seams.questions import handled
from seamwork.seams.seam import Seam

_SHOWN = 600  # characters of an example
_STATUS: dict[str, Tone] = {"active": "good", "deprecated": "fair", "retired": "bad", "revoked": "bad"}


@dataclass(frozen=True)
class Turn:
    """One activation of a version: which status it got, from when (ms), until when, and what takes its place."""

    status: str
    from_at: int
    ends_at: int | None = None
    successor: str | None = None


@dataclass(frozen=True)
class Kept:
    """
    One version of a contract, with what is known of its life.

    *published_at* is None where it was read from a file; *consents* are the words of the teams that signed it.
    """

    contract: Contract
    consents: tuple[Consent, ...] = ()
    turns: tuple[Turn, ...] = ()
    published_at: int | None = None


def contract_page(versions: Sequence[Kept], seams: Sequence[Seam], now_ms: int) -> Page:
    """
    Set every version of one contract on one page.

    Args:
        versions: At least one, the lowest first; the last one is what the page is about.
        seams: The edges of flows that lead under it.
        now_ms: When; an activation that is yet to come makes nothing of a version so far.
    """
    latest = versions[-1].contract
    spec = latest.spec
    blocks: list[Block] = [
        Words(spec.purpose or "No purpose is written down.", "plain" if spec.purpose else "fair"),
        Words(
            f"This page is about {latest.version}, the highest of {_counted(versions)}; "
            f"{_stands(versions[-1], now_ms)}."
        ),
        Heading("Runbook"),
        *_runbook(latest, seams),
        Heading("What may cross"),
    ]
    for on, promise in promises(latest).items():
        blocks += _promise(on, promise, spec.masking)
    blocks += [Heading("Terms"), Points(tuple(_terms(latest)))]
    blocks += [Heading("What a person reads who must approve"), *_summary(latest)]
    if spec.examples:
        blocks += [Heading("Examples"), *_examples(latest)]
    blocks += [Heading("History"), *_history(versions, now_ms)]
    return Page(f"Contract {latest.name}", tuple(blocks))


# ── Runbook ──────────────────────────────────────────────────────────────────────────────


def _runbook(contract: Contract, seams: Sequence[Seam]) -> Iterator[Block]:
    """Yield an entry for each seam; a contract that no flow names yet still has an owner."""
    for seam in seams:
        yield Heading(str(seam), 3)
        yield Points(tuple(_who(contract, seam)))
    if not seams:
        yield Words("No flow among the documents leads work under this contract.", "fair")
        yield Points(tuple(_who(contract, None)))
    yield Heading("Alerts", 3)
    yield Table("What calls whom", ("alert", "when", "who is told"), tuple(_alerts(contract)))
    yield Heading("The first three commands", 3)
    yield Verbatim("The first three commands", "\n".join(first_commands(contract)))


def first_commands(contract: Contract) -> tuple[str, str, str]:
    """Return what to type first: is anything admitted at all, what of this owner was refused, and why."""
    return (
        "seamwork status                                   # does it admit work, and if not, why",
        f"seamwork tasks --refused --owner {contract.spec.owners.team} --since 1h   # what went wrong here",
        "seamwork blame TASK                               # the first wrong crossing of one of them",
    )


def _only(agent: Agent, contract: Contract) -> str:
    """Say which versions an agent takes, where this one is not among them."""
    ranges = [one.versions for one in agent.spec.accepts if one.contract == contract.name]
    takes_it = any(accepts(one, contract.version) for one in ranges)
    return "" if takes_it else f" (takes {' or '.join(ranges)})"


def _who(contract: Contract, seam: Seam | None) -> Iterator[str]:
    owners = contract.spec.owners
    yield f"Owner: {owners.team} ({owners.ownership}); reach them at {owners.contact}."
    if owners.escalation:
        wait = owners.answer_seconds
        yield f"Escalation: {' → '.join(owners.escalation)}; each has {wait} s before the next is asked as well."
    else:
        yield "Escalation: nobody is named."
    if seam is not None:
        takers = ", ".join(f"{agent.name} {agent.version}{_only(agent, contract)}" for agent in seam.takers)
        yield f"Who does the work: {takers or 'nobody among the documents'}. For: {seam.edge.reason}"
    fallbacks = ", ".join(f"{party.agent} {party.versions}" for party in contract.spec.fallbacks)
    yield f"When the receiver is down: {fallbacks or 'nobody else takes it'}."


def _alerts(contract: Contract) -> Iterator[tuple[Cell | str, ...]]:
    owner, name, budget = contract.spec.owners.team, contract.name, contract.spec.error_budget
    told = f"{owner}, by its webhook and in the log"
    notified = f'seamwork_notifications_total{{owner="team:{owner}"}}'
    if budget is None:
        yield ("error-budget-spent", Cell("never: no error budget is agreed", "fair"), "nobody")
    else:
        allowed = f"more than {budget.refusals} refusals or {budget.late} late answers per {budget.per}"
        yield (f'seamwork_error_budget_left{{contract="{name}"}} < 0', allowed, told)
    yield (notified, "a refusal, a hold, a case or a dead letter of this contract", told)
    deprecated = f'seamwork_deprecated_seams_total{{contract="{name}"}}'
    yield (deprecated, "a deprecated version is still used", f"{owner}, and the owner of whoever uses it")


# ── What may cross ───────────────────────────────────────────────────────────────────────


def _promise(on: str, promise: Promise, masking: tuple[str, ...]) -> Iterator[Block]:
    yield Heading("The input" if on == "input" else f"The outcome {on}", 3)
    rows = tuple(
        (
            one.path,
            one.type,
            "must be there" if one.required else "may be absent",
            one.bounds,
            Cell("hidden", "fair") if one.hidden else "shown",
        )
        for one in fields(promise.json_schema, Mask(promise.json_schema, masking))
    )
    if rows:
        yield Table(f"Fields of {on}", ("field", "type", "presence", "bounds", "to people"), rows)
    else:
        yield Words("The schema names no field.", "fair")
    if len(rows) == MOST:
        yield Words(f"Further fields than these {MOST} are not listed.", "fair")
    if promise.rules:
        told = tuple((rule.name, rule.expr, rule.message, rule.severity) for rule in promise.rules)
        yield Table(f"Rules of {on}", ("rule", "holds when", "what the sender reads", "severity"), told)
    for sentence in getattr(promise, "assume", ()):
        yield Words(f"A receiver may rely on this: {sentence}")


def _terms(contract: Contract) -> Iterator[str]:
    spec = contract.spec
    for name, parties in (("Handed over by", spec.producers), ("Taken by", spec.consumers)):
        listed = ", ".join(f"{party.agent} {party.versions}" for party in parties)
        yield f"{name}: {listed or 'whoever the policies let'}."
    for condition in spec.preconditions:
        what = condition.contract or f"the step {condition.step}"
        yield f"Before it: {what} must have been answered with {' or '.join(condition.outcome)}."
    yield f"A violation is {handled(spec.on_violation)}."
    yield f"A timeout after {spec.limits.time_seconds} s is {handled(spec.on_timeout)}."
    yield f"An error is {handled(spec.on_error)}."
    yield f"At most {spec.limits.payload_bytes} bytes; a ceiling of {spec.limits.cost_micro_usd} micro-USD."
    tokens = spec.limits.context_tokens
    if tokens is not None:
        yield f"At most {tokens.at_most} context tokens, counted by {tokens.counter}."
    if spec.limits.fan_out is not None:
        yield f"At most {spec.limits.fan_out} crossings open below one dispatch."
    yield f"Fields that the schema does not know are {'refused' if spec.undeclared == 'refuse' else 'stripped'}."
    if spec.escalate_when is not None:
        yield f"A person is asked when: {_thresholds(contract)}."
    if spec.lead_time_days is not None:
        yield f"A breaking version waits {spec.lead_time_days} days, or for the word of each consumer's team."


def _thresholds(contract: Contract) -> str:
    when = contract.spec.escalate_when
    parts = []
    if when is not None and when.confidence is not None:
        parts.append(f"{when.confidence.field} is below {when.confidence.below}")
    if when is not None and when.plan_growth is not None:
        parts.append(f"a plan grows by more than {when.plan_growth.steps} steps")
    if when is not None and when.irreversible:
        parts.append(f"an effect is asked for that cannot be undone ({', '.join(when.irreversible)})")
    return "; ".join(parts)


def _summary(contract: Contract) -> Iterator[Block]:
    summary = contract.spec.summary
    rows = (
        ("what stands behind it", summary.state),
        ("what is proposed", summary.proposed_action),
        ("what is asked", summary.asks),
        ("approve", summary.answers.approve),
        ("reject", summary.answers.reject),
    )
    yield Table(
        "The summary's sentences; fields in braces are filled in, hidden ones with ***",
        ("part", "words"),
        rows,
    )


def _examples(contract: Contract) -> Iterator[Block]:
    rows = tuple(
        (one.name, one.on, Cell(", ".join(one.violates), "bad") if one.violates else Cell("admitted", "good"))
        for one in contract.spec.examples
    )
    yield Table("Each example, and how it must be judged", ("example", "on", "must come out as"), rows)


# ── History ──────────────────────────────────────────────────────────────────────────────


def _history(versions: Sequence[Kept], now_ms: int) -> Iterator[Block]:
    changes = [compare_contracts(old.contract, new.contract) for old, new in pairwise(versions)]
    found: list[Difference | None] = [None, *changes]
    rows = tuple(
        (
            kept.contract.version,
            "from a file" if kept.published_at is None else rfc3339(kept.published_at)[:19],
            _status(kept, now_ms),
            "nobody" if not kept.consents else ", ".join(_word(consent) for consent in kept.consents),
            "-" if change is None else _compatible(change),
        )
        for kept, change in zip(versions, found, strict=True)
    )
    heads = ("version", "published (UTC)", "status", "signed by", "compatible with the one before")
    yield Table("Versions, the lowest first", heads, tuple(reversed(rows)))
    for kept, change in reversed(list(zip(versions, found, strict=True))):
        lived = tuple(_lived(kept))
        told = () if change is None else tuple(_told(change))
        if lived or told:
            yield Heading(kept.contract.version, 3)
        if lived:
            yield Points(lived)
        if told and change is not None:
            yield Folded(f"What {change.new} changes", (Points(told),))


def _compatible(change: Difference) -> str:
    step = "nothing has changed" if change.bump == "none" else f"a {change.bump} change"
    return f"{change.verdict}; {step}"


def _word(consent: Consent) -> str:
    return f"{consent.spec.person} for {consent.spec.team}"


def _holds(kept: Kept, now_ms: int) -> Turn | None:
    """Return the activation that holds: of those that have begun the last one wins, as it does at the gates."""
    return next((turn for turn in reversed(kept.turns) if turn.from_at <= now_ms), None)


def _status(kept: Kept, now_ms: int) -> Cell:
    holds = _holds(kept, now_ms)
    if holds is None:
        return Cell("not known" if kept.published_at is None else "draft")
    return Cell(holds.status, _STATUS.get(holds.status, "plain"))


def _lived(kept: Kept) -> Iterator[str]:
    for one in kept.turns:
        ends = "" if one.ends_at is None else f", and ends at {rfc3339(one.ends_at)[:19]}"
        successor = "" if one.successor is None else f"; {one.successor} takes its place"
        yield f"{one.status} from {rfc3339(one.from_at)[:19]}{ends}{successor}"


def _told(change: Difference) -> Iterator[str]:
    for part in change.parts:
        for name, way in (("backward", part.backward), ("forward", part.forward)):
            if way.answer != "yes":
                yield f"{part.on}, {name}: {way.answer}: {'; '.join(way.reasons)}{_refused(way)}"
        yield from (f"{part.on}: {note}" for note in part.notes)


def _refused(way: Way) -> str:
    if way.refused is NOTHING:
        return ""
    return f"; newly refused, for example: {json.dumps(way.refused, ensure_ascii=False)[:_SHOWN]}"


def _counted(versions: Sequence[Kept]) -> str:
    return "one version" if len(versions) == 1 else f"{len(versions)} versions"


def _stands(kept: Kept, now_ms: int) -> str:
    if kept.published_at is None:
        return "read from a file, so nothing is known of its activation"
    holds = _holds(kept, now_ms)
    if holds is not None:
        return f"it is {holds.status}"
    return "it is not active yet" if kept.turns else "it was never activated"
