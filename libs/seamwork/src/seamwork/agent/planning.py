"""
Divide work by a plan: say what will be handed on, then run what can run at once beside each other.

The router adopts the plan before anything runs, and holds the result against it: what is missing of the critical
parts makes the whole partial, whatever the function returns.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar, Unpack

from seamwork.agent.errors import Cancelled, HandoffError
from seamwork.agent.handing import Handing, contract_of, refuse_unknown
from seamwork.agent.outcome import Labelled, Partial
from seamwork.errors import MisconfiguredError
from seamwork.records.crossing import Subtask
from seamwork.records.parties import Target

V = TypeVar("V")

Payload = Any
"""What a subtask is given: a payload, or a function of the answers that there are by then."""


def subtask(
    step: str,
    *,
    contract: str,
    to: str | None = None,
    versions: str | None = None,
    capability: str | None = None,
    ordinal: int = 0,
    after: tuple[str, ...] = (),
    critical: bool = True,
) -> Subtask:
    """
    Describe one part of a plan.

    Args:
        step: What it is called; with *ordinal*, ``step#ordinal``.
        contract: ``name/version``.
        to: Who gets it; or else *capability*.
        versions: Narrows *to*.
        capability: What its receiver offers.
        ordinal: Tells several parts of one step apart.
        after: The parts whose answers it needs; it begins when they are over.
        critical: Whether the whole is less without it.
    """
    target = Target(agent=to, versions=versions, capability=capability)
    return Subtask(
        step=step,
        ordinal=ordinal,
        contract=contract_of(contract, step),
        target=target,
        after=after,
        critical=critical,
    )


class Asks(Protocol):
    """What a plan needs of its task."""

    async def ask(
        self, *, contract: str, payload: object, step: str, returns: Any = None, **how: Unpack[Handing]
    ) -> Labelled[Any]:
        """Hand on and return the labelled answer."""


@dataclass(frozen=True, slots=True)
class Join:
    """
    What became of a plan's parts.

    *answers* holds what came back, with its label, *lost* why nothing did, both by the parts' names; what is in
    neither was left out.
    """

    parts: tuple[Subtask, ...]
    answers: dict[str, Labelled[Any]] = field(default_factory=dict)
    lost: dict[str, HandoffError] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether every critical part has a whole answer."""
        return all(self._whole(part.name) for part in self.parts if part.critical)

    def label(self, value: V) -> V | Partial[V]:
        """Return *value* as what the whole is: itself, or labelled as a part. Return it from the function."""
        return value if self.complete else Partial(value)

    def _whole(self, name: str) -> bool:
        answer = self.answers.get(name)
        return answer is not None and answer.outcome == "success"


class Planned:
    """A plan that was adopted: its parts, and the hand that hands them on."""

    def __init__(self, task: Asks, parts: tuple[Subtask, ...]) -> None:
        self._task = task
        self.parts = parts
        self._named = {part.name: part for part in parts}

    async def ask(
        self, name: str, payload: object, returns: Any = None, **how: Unpack[Handing]
    ) -> Labelled[Any]:
        """
        Hand one part on as planned and return its labelled answer; the errors are those of ``Task.delegate``.

        Args:
            name: The part.
            payload: What its contract's input asks for.
            returns: The type of the answer's payload.
            how: See ``Handing``; whom it goes to stands in the plan.
        """
        part = self._part(name)
        target = part.target
        given: Handing = {
            **how, "to": target.agent, "versions": target.versions, "capability": target.capability,
            "ordinal": part.ordinal,
        }  # fmt: skip
        contract = f"{part.contract.name}/{part.contract.version}"
        return await self._task.ask(
            contract=contract, payload=payload, step=part.step, returns=returns, **given
        )

    async def run(
        self,
        payloads: Mapping[str, Payload],
        *,
        returns: Mapping[str, Any] | None = None,
        how: Mapping[str, Handing] | None = None,
        at_once: int | None = None,
    ) -> Join:
        """
        Run the whole plan: what needs nothing at once and beside each other, the rest as its answers come.

        A part whose critical predecessor brought nothing is not begun. What was lost stands in the join, and of the
        errors of ``Task.delegate`` only ``Cancelled`` is raised.

        Args:
            payloads: For each part its payload, or a function that makes it of the answers there are by then. A
                part that is not critical may be left out.
            returns: The types of the answers' payloads, where they matter.
            how: What else is to be said of a part's handoff.
            at_once: How many parts may be open at a time, where the contract's ``fanOut`` bounds it.

        Raises:
            MisconfiguredError: A critical part has no payload, none may be open at a time, or something is said of
                a part that there is not, or that no handoff has.
            PayloadError: A payload cannot be written, or an answer is not of the type that *returns* says.
        """
        for name in (*payloads, *(returns or {}), *(how or {})):
            self._part(name)
        for name, said in (how or {}).items():
            refuse_unknown(said, name)
        without = [part.name for part in self.parts if part.critical and part.name not in payloads]
        if without:
            raise MisconfiguredError(f"the critical parts {', '.join(without)} of the plan have no payload")
        if at_once is not None and at_once < 1:
            raise MisconfiguredError(f"at_once is {at_once}; say how many parts may be open, or leave it out")
        join = Join(self.parts)
        over = {part.name: asyncio.Event() for part in self.parts}
        room = asyncio.Semaphore(at_once or len(self.parts))

        async def one(part: Subtask) -> None:
            try:
                for name in part.after:
                    await over[name].wait()
                if part.name in payloads and not self._barred(part, join):
                    async with room:
                        given, kind = payloads[part.name], (returns or {}).get(part.name)
                        await self._one(part, given, join, kind, how or {})
            finally:
                over[part.name].set()

        running = [asyncio.ensure_future(one(part)) for part in self.parts]
        try:
            await asyncio.gather(*running)
        finally:
            for part in running:
                part.cancel()
        return join

    async def _one(
        self, part: Subtask, given: Payload, join: Join, returns: Any, how: Mapping[str, Handing]
    ) -> None:
        payload = given(join.answers) if callable(given) else given
        try:
            join.answers[part.name] = await self.ask(part.name, payload, returns, **how.get(part.name, {}))
        except Cancelled:
            raise
        except HandoffError as error:
            join.lost[part.name] = error

    def _barred(self, part: Subtask, join: Join) -> bool:
        return any(name not in join.answers and self._named[name].critical for name in part.after)

    def _part(self, name: str) -> Subtask:
        if name not in self._named:
            raise MisconfiguredError(f"the plan has no part {name!r}; it has {', '.join(self._named)}")
        return self._named[name]
