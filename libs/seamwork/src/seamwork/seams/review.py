"""Draw up the seam review of a flow: open points first, then the four questions of every seam, and what changed."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pydantic import ValidationError

from seamwork.documents.canonical import digest
from seamwork.documents.kinds import AnyDocument
from seamwork.documents.problems import json_path
from seamwork.documents.review import LeftOpen, Review, Reviewed, ReviewSpec
from seamwork.documents.shape import Metadata, instant_ms
from seamwork.documents.versions import parse_version
from seamwork.errors import UnprocessableError
from seamwork.seams.questions import Answer, OpenPoint, four_questions
from seamwork.seams.study import Study


@dataclass(frozen=True)
class ReviewedSeam:
    """One seam with its four answers."""

    seam: str
    reason: str
    owner: str
    answers: tuple[Answer, ...]


@dataclass(frozen=True)
class Changes:
    """What changed since a sign-off: documents, and points that were opened or settled since."""

    since: str
    documents: tuple[str, ...]
    opened: tuple[OpenPoint, ...]
    settled: tuple[OpenPoint, ...]


@dataclass(frozen=True)
class SeamReview:
    """The page for the meeting; *due* says when the next sign-off is due, or that none was ever made."""

    flow: str
    purpose: str
    due: str
    overdue: bool
    open: tuple[OpenPoint, ...]
    seams: tuple[ReviewedSeam, ...]
    measured: str
    changes: Changes | None = None


def review(study: Study, since: Review | None = None) -> SeamReview:
    """Review the flow of *study*; with *since* say what changed after that sign-off."""
    seams = []
    points: list[OpenPoint] = list(_not_enforced(study))
    for seam in study.seams:
        answers = four_questions(seam, study)
        contract = seam.contract
        owner = "nobody"
        if contract is not None:
            owner = f"{contract.spec.owners.team} ({contract.spec.owners.ownership}-owned)"
        seams.append(ReviewedSeam(str(seam), seam.edge.reason, owner, answers))
        points += [point for answer in answers for point in answer.open]
    unique = {(point.code, point.seam, point.text): point for point in points}
    points = sorted(unique.values(), key=lambda point: not point.grave)
    due, overdue = _due(study)
    return SeamReview(
        flow=study.flow.title,
        purpose=study.flow.spec.purpose or "",
        due=due,
        overdue=overdue,
        open=tuple(points),
        seams=tuple(seams),
        measured=measured_words(study),
        changes=None if since is None else _changes(study, since, points),
    )


def _not_enforced(study: Study) -> Iterator[OpenPoint]:
    """Yield what is written down and not enforced: the flow itself, and policies along it."""
    mode = study.flow.spec.mode
    if mode != "enforce":
        text = f"the flow is in {mode!r}: what contract and policy refuse goes on, and is only recorded"
        yield OpenPoint("flow-not-enforced", study.flow.title, text, grave=True)
    for seam in study.seams:
        for policy in study.policies_of(seam):
            if policy.spec.mode == "shadow":
                text = f"{policy.title} is in 'shadow': what it demands is only recorded"
                yield OpenPoint("policy-not-enforced", str(seam), text)


def sign_off(  # one argument for each thing a sign-off says
    study: Study,
    seen: SeamReview,
    signed: tuple[str, ...],
    on: str,
    next_due: str,
    replaced: Iterable[Review] = (),
) -> Review:
    """
    Write the sign-off of a review; its version follows the highest that there is of the flow.

    Args:
        study: What was reviewed.
        seen: The review.
        signed: Who signs.
        on: When.
        next_due: When the next review is due.
        replaced: Sign-offs that are written over, so that nobody may find them among the documents.

    Raises:
        UnprocessableError: It would be no document: there is more in it than one holds.
    """
    before = [parse_version(one.version).major for one in (*study.reviews, *replaced)]
    version = f"{max(before, default=0) + 1}.0.0"
    try:
        spec = ReviewSpec(
            flow=study.flow.name,
            signed=signed,
            on=on,
            next_due=next_due,
            open=tuple(LeftOpen(code=point.code, seam=point.seam, text=point.text) for point in seen.open),
            seen=_seen(study),
        )
    except ValidationError as error:
        wrong = "; ".join(f"{json_path(('spec', *one['loc']))}: {one['msg']}" for one in error.errors())
        raise UnprocessableError(
            f"the sign-off cannot be written: {wrong}; settle some first, or split the flow"
        ) from error
    return Review(kind="Review", metadata=Metadata(name=study.flow.name, version=version), spec=spec)


def overdue(review: Review, now_ms: int) -> bool:
    """Say whether the next review should have been by now."""
    return instant_ms(review.spec.next_due) < now_ms


def _due(study: Study) -> tuple[str, bool]:
    if not study.reviews:
        return "never signed off", True
    last = study.reviews[-1]
    who, when = ", ".join(last.spec.signed), last.spec.on[:10]
    late = overdue(last, study.now_ms)
    verb = "was due" if late else "is due"
    return f"signed off by {who} on {when}; the next one {verb} on {last.spec.next_due[:10]}", late


def _seen(study: Study) -> tuple[Reviewed, ...]:
    documents: dict[tuple[str, str, str], AnyDocument] = {}
    for seam in study.seams:
        belonging: tuple[AnyDocument, ...] = (
            *seam.contracts,
            *seam.senders,
            *seam.receivers,
            *study.policies_of(seam),
        )
        for document in belonging:
            documents[(document.kind, document.name, document.version)] = document
    documents[("Flow", study.flow.name, study.flow.version)] = study.flow
    return tuple(
        Reviewed(kind=kind, name=name, version=version, sha256=digest(document))
        for (kind, name, version), document in sorted(documents.items())
    )


def _changes(study: Study, since: Review, points: list[OpenPoint]) -> Changes:
    before = {(one.kind, one.name, one.version): one.sha256 for one in since.spec.seen}
    now = {(one.kind, one.name, one.version): one.sha256 for one in _seen(study)}
    documents = [f"new: {' '.join(key)}" for key in sorted(now.keys() - before.keys())]
    documents += [f"gone: {' '.join(key)}" for key in sorted(before.keys() - now.keys())]
    documents += [
        f"other content: {' '.join(k)}" for k in sorted(now.keys() & before.keys()) if now[k] != before[k]
    ]
    were = {(point.code, point.seam, point.text) for point in since.spec.open}
    are = {(point.code, point.seam, point.text) for point in points}
    return Changes(
        since=f"{since.name} {since.version}, signed on {since.spec.on[:10]}",
        documents=tuple(documents),
        opened=tuple(point for point in points if (point.code, point.seam, point.text) not in were),
        settled=tuple(OpenPoint(*point) for point in sorted(were - are)),
    )


def measured_words(study: Study) -> str:
    """Say what the answers stand on besides the documents."""
    if study.measured is None:
        return f"Nothing was measured: {study.unmeasured or 'no platform was asked'}."
    part = "" if study.measured.whole else ", the latest part of what is recorded"
    crossed = sum(bool(seam.measures) for seam in study.seams)
    return f"Measured on a running platform{part}: {crossed} of {len(study.seams)} seams were crossed."
