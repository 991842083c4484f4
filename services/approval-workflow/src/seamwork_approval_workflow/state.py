"""
Remember what was asked, what was answered, and what came of it.

A request is named by the crossing's position and the action, so asking for the same action again finds the answers
that were given, and asking for another one finds none.
"""

from typing import Literal, assert_never

import msgspec

from seamwork.decider import Entries, pack
from seamwork.records.parties import Position, Subject
from seamwork.records.people import ApprovalEnd, ApprovalRequest
from seamwork.records.verdict import SignedRecord, Verdict

HORIZON_MS = 15 * 60 * 1000
"""How long after its end something may still be redelivered."""
BUCKET_MS = 5 * 60 * 1000
"""Forgetting is done in lots of five minutes, so that a day of deadlines is a few hundred numbers."""


class Asked(msgspec.Struct, frozen=True, kw_only=True, tag="asked"):
    """A question was put to people. Answers to an earlier one of the same id do not count for it."""

    request: ApprovalRequest


class AskedAgain(msgspec.Struct, frozen=True, kw_only=True, tag="asked-again"):
    """The same action was held again for the same approvers: the answers given so far count."""

    request: ApprovalRequest


class Answered(msgspec.Struct, frozen=True, kw_only=True, tag="answered"):
    """A person's answer counts; *evidence* is the answer as it was signed."""

    request: str
    reply: str
    person: str
    answer: Literal["approve", "reject"]
    evidence: SignedRecord


class ReplyIgnored(msgspec.Struct, frozen=True, kw_only=True, tag="reply-ignored"):
    """An answer does not count, and why; where it lies says who wants to look."""

    position: Position
    digest: str
    request: str | None = None
    person: str | None = None
    rule: str
    reason: str


class Ended(msgspec.Struct, frozen=True, kw_only=True, tag="ended"):
    """A request is over. *verdict* is what the router is told, null where it was withdrawn."""

    end: ApprovalEnd
    verdict: Verdict | None = None
    until: int


class Repeated(msgspec.Struct, frozen=True, kw_only=True, tag="repeated"):
    """What people said already holds for another attempt of the same action, too."""

    request: str
    verdict: Verdict


class NotAsked(msgspec.Struct, frozen=True, kw_only=True, tag="not-asked"):
    """Nobody can be asked, so the answer is no."""

    verdict: Verdict
    until: int


class Forgotten(msgspec.Struct, frozen=True, kw_only=True, tag="forgotten"):
    """What had to be remembered until *due* leaves the memory."""

    due: int


Event = Asked | AskedAgain | Answered | ReplyIgnored | Ended | Repeated | NotAsked | Forgotten


class Answer(msgspec.Struct):
    """What one person said, as they signed it."""

    answer: str
    evidence: SignedRecord


class Request(msgspec.Struct):
    """
    One question and its answers by person.

    *how* is null while it is open. *replies* are the ids of all answers that ever counted, so that an old one
    cannot be played again into a question that was asked anew; *attempt* is the last one that was answered for.
    """

    asked: ApprovalRequest
    answers: dict[str, Answer] = msgspec.field(default_factory=dict)
    replies: list[str] = msgspec.field(default_factory=list)
    how: str | None = None
    attempt: int = 0
    until: int = 0


class Desk(msgspec.Struct):
    """Everything that the workflow remembers; *due* says what may be forgotten when."""

    requests: dict[str, Request] = msgspec.field(default_factory=dict)
    waiting: dict[str, int] = msgspec.field(default_factory=dict)
    tasks: dict[str, list[str]] = msgspec.field(default_factory=dict)
    refused: dict[str, int] = msgspec.field(default_factory=dict)
    due: dict[str, list[str]] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Let what is large be read and written a piece at a time."""
        self.requests = Entries(self.requests, Request)
        self.tasks = Entries(self.tasks, list[str])

    def open_of(self, task: str | None) -> list[Request]:
        """Return the open requests of a task, in the order asked."""
        return [self.requests[one] for one in self.tasks.get(task or "", ()) if one in self.waiting]


def place_key(subject: Subject) -> str:
    """Name the place of a crossing."""
    return f"{subject.partition}/{subject.offset}"


def sizes(desk: Desk) -> dict[str, int]:
    """Say how much the workflow remembers."""
    return {"requests": len(desk.requests), "tasks": len(desk.tasks), "refused": len(desk.refused)}


def evolve(desk: Desk, event: Event) -> Desk:
    """Apply *event* to *desk*, in place."""
    match event:
        case Asked():
            _ask(desk, event.request, anew=True)
        case AskedAgain():
            _ask(desk, event.request, anew=False)
        case Answered():
            request = desk.requests[event.request]
            request.answers[event.person] = Answer(event.answer, event.evidence)
            request.replies.append(event.reply)
        case ReplyIgnored():
            pass
        case Ended():
            _end(desk, event)
        case Repeated():
            desk.requests[event.request].attempt = event.verdict.subject.attempt
        case NotAsked():
            subject = event.verdict.subject
            desk.refused[place_key(subject)] = subject.attempt
            _remember(desk, f"refused {place_key(subject)}", event.until)
        case Forgotten():
            for token in desk.due.pop(str(event.due), ()):
                _forget(desk, token, event.due)
        case _:
            assert_never(event)
    return desk


def timer(desk: Desk) -> int | None:
    """Return when a request expires or something may be forgotten next."""
    return min((*desk.waiting.values(), *map(int, desk.due)), default=None)


def _remember(desk: Desk, token: str, until: int) -> None:
    due = (until // BUCKET_MS + 1) * BUCKET_MS
    desk.due.setdefault(str(due), []).append(token)


def _ask(desk: Desk, asked: ApprovalRequest, *, anew: bool) -> None:
    request = desk.requests.get(asked.id)
    if request is None:
        request = desk.requests[asked.id] = Request(asked)
        desk.tasks.setdefault(asked.task, []).append(asked.id)
    if anew:
        request.answers = {}
    request.asked = asked
    request.how = None
    request.attempt = asked.subject.attempt
    desk.waiting[asked.id] = asked.expires_at


def _end(desk: Desk, event: Ended) -> None:
    request = desk.requests[event.end.id]
    request.how = event.end.how
    request.until = event.until
    pack(desk.requests, event.end.id)
    desk.waiting.pop(event.end.id, None)
    _remember(desk, f"request {event.end.id}", event.until)


def _forget(desk: Desk, token: str, due: int) -> None:
    what, _, name = token.partition(" ")
    if what == "refused":
        desk.refused.pop(name, None)
        return
    request = desk.requests.get(name)
    # Asked again meanwhile: its next end makes the next token.
    if request is None or request.how is None or request.until >= due:
        return
    del desk.requests[name]
    task = desk.tasks[request.asked.task]
    task.remove(name)
    if not task:
        del desk.tasks[request.asked.task]
