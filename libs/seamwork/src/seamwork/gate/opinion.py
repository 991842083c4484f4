"""Say what a gate thinks of a crossing."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from seamwork.errors import UnprocessableError
from seamwork.records.verdict import VerdictOutcome

_RULE = re.compile(r"[a-z0-9][a-z0-9:/._-]{0,99}")
_MOST_CHARS = 8_000
"""Of what travels on with the work: an envelope has 64 KiB for all that is said of it."""
_SHOWN = 40


@dataclass(frozen=True, kw_only=True)
class Opinion:
    """
    What a gate thinks of one crossing; made by ``allow``, ``deny``, ``ask`` and ``delay``.

    Attributes:
        outcome: As verdicts have it; of all gates the strictest counts.
        rule: A short name that stays the same, for programs and for counting: ``after-hours``.
        reason: A sentence for people. It is shown to them and to the sender: no secrets, nothing of the payload.
        constraints: What the receiver is told to keep to, by name.
        only: Names of the agents that may get a handoff; null where it may be any.
        roles, people, count: Who must say yes, and how many of them.
        delay_s: For how long it is not to go on.
    """

    outcome: VerdictOutcome
    rule: str
    reason: str = ""
    constraints: Mapping[str, str] = field(default_factory=dict)
    only: frozenset[str] | None = None
    roles: tuple[str, ...] = ()
    people: tuple[str, ...] = ()
    count: int = 1
    delay_s: float = 0.0

    def __post_init__(self) -> None:
        """
        Refuse what no verdict can say: it would be lost on its way, and the gate taken for silent.

        Raises:
            UnprocessableError: Says what does not fit.
        """
        if not _are_texts((self.rule,)) or _RULE.fullmatch(self.rule) is None:
            raise UnprocessableError(
                f"{str(self.rule)[:_SHOWN]!r} is no rule: a short name that stays the same, such as after-hours"
            )
        said = (self.reason, *self.constraints, *self.constraints.values(), *self.roles, *self.people)
        if not _are_texts((*said, *(self.only or ()))):
            raise UnprocessableError(f"{self.rule}: reasons, constraints, roles and names are texts")
        try:
            "".join(said).encode()
        except UnicodeEncodeError as error:
            raise UnprocessableError(f"{self.rule}: a text that is no UTF-8 fits into no record") from error
        if sum(map(len, said[1:])) > _MOST_CHARS:
            raise UnprocessableError(
                f"{self.rule}: constraints, roles and people take more than {_MOST_CHARS} characters"
            )


def _are_texts(said: Iterable[object]) -> bool:
    """Say whether what is said is text: a function's author may have given anything."""
    return all(isinstance(one, str) for one in said)


def allow(
    rule: str = "fits",
    reason: str = "",
    *,
    constraints: Mapping[str, str] | None = None,
    only: Collection[str] | None = None,
) -> Opinion:
    """
    Let it go on.

    Args:
        rule: Why, in a word.
        reason: Why, in a sentence.
        constraints: What the receiver is told to keep to; constraints of all gates add up.
        only: Of a handoff: the agents that may get it, by name. The router picks among those whom all gates admit.
    """
    outcome: VerdictOutcome = "ALLOW_WITH_CONSTRAINTS" if constraints else "ALLOW"
    admitted = None if only is None else frozenset(only)
    return Opinion(
        outcome=outcome, rule=rule, reason=reason, constraints=dict(constraints or {}), only=admitted
    )


def deny(rule: str, reason: str) -> Opinion:
    """Refuse it: the sender is told *rule* and *reason*."""
    return Opinion(outcome="DENY", rule=rule, reason=reason)


def ask(
    rule: str, reason: str, *, roles: Collection[str] = (), people: Collection[str] = (), count: int = 1
) -> Opinion:
    """
    Let it go on once *count* people have agreed, each of one of *roles* or one of *people*.

    Raises:
        UnprocessableError: Nobody would be asked.
    """
    if (not roles and not people) or count < 1:
        raise UnprocessableError(f"{rule}: ask at least one person, of a role or by name")
    return Opinion(
        outcome="REQUIRE_APPROVAL", rule=rule, reason=reason, roles=tuple(roles), people=tuple(people), count=count
    )  # fmt: skip


def delay(rule: str, reason: str, *, seconds: float) -> Opinion:
    """
    Let it wait for *seconds* and be judged again then; ``Crossing.attempt`` tells how often it was.

    Raises:
        UnprocessableError: That is no time to wait.
    """
    if not 0 < seconds < float("inf"):
        raise UnprocessableError(f"{rule}: {seconds} seconds is no time to wait")
    return Opinion(outcome="THROTTLE", rule=rule, reason=reason, delay_s=seconds)
