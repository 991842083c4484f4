"""
Hold an agent against its contracts, example by example, and against what a platform does to it on bad days.

An author's whole test file is

>>> @pytest.mark.parametrize("law", laws(agent, "contracts"), ids=str)
... def test_the_agent_keeps_its_contract(law):
...     law.check()

Rule 1: an admitted example of the input is answered, and the contract admits the answer.
Rule 2: a refused example never reaches the agent, and the refusal names the rule that the example names.
Rule 3: the same work twice is answered once; work that runs again after a crash hands on and answers the same.
Rule 4: what was cancelled or is too late is let go, and the work behind it is done.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from seamwork.agent import Agent, Failed, HandoffError, Refused
from seamwork.authoring.standin import StandIn, stands_alone
from seamwork.documents import Contract
from seamwork.documents.contract import Example
from seamwork.errors import MisconfiguredError
from seamwork.records.authority import Authority
from seamwork.testing.seam import Peer, Piece, Seam, by_version

_CRASHES = 4
"""After that many handoffs an agent that does the same each time will go on to."""
_WITH_EFFECTS = Authority(depth=3, effects=("a-law-is-tried",))
"""Work that may cause effects is accepted before it begins, so every beginning is seen."""

_Body = Callable[[Seam], Awaitable[None]]


@dataclass(frozen=True)
class Law:
    """One thing that an agent must keep."""

    name: str
    seam: Callable[[], Seam]
    body: _Body

    def __str__(self) -> str:
        """Name it as a test's id."""
        return self.name

    def check(self) -> None:
        """
        Run the agent and hold it to this.

        Raises:
            AssertionError: It does not keep it; says what it did instead.
        """
        asyncio.run(self.hold())

    async def hold(self) -> None:
        """Do as ``check`` does, inside of a loop that runs."""
        async with self.seam() as seam:
            await self.body(seam)


def laws(
    agent: Agent,
    contracts: "str | Path | Iterable[str | Path | Contract]",
    *,
    peers: Mapping[str, Peer] | None = None,
    within_s: float = 10.0,
) -> list[Law]:
    """
    Return what *agent* must keep under each contract that it accepts.

    Args:
        agent: As its program declares it.
        contracts: Contracts, or files and folders that hold them: those it accepts, and those it hands on under.
        peers: As ``Seam`` takes them.
        within_s: How long each may take.

    Raises:
        MisconfiguredError: A contract that the agent accepts is not there, or no example of its input is admitted.
    """
    known = by_version(contracts)
    found: list[Law] = []

    def seam() -> Seam:
        return Seam(agent, known.values(), peers=peers, within_s=within_s)

    for ref in agent.handlers:
        if ref not in known:
            there = ", ".join(f"{one.name}/{one.version}" for one in known)
            raise MisconfiguredError(
                f"agent {agent.name} accepts {ref.name}/{ref.version}, which is not there; there are {there}"
            )
        stand_in = StandIn(known[ref])
        title = f"{ref.name}/{ref.version}"

        def add(name: str, body: _Body, title: str = title) -> None:
            found.append(Law(f"{title}: {name}", seam, body))

        for example in filter(stands_alone, stand_in.inputs()):
            add(f"answers {example.name}", partial(_answers, stand_in, example))
        for example in filter(stands_alone, stand_in.inputs(admitted=False)):
            add(f"never sees {example.name}", partial(_never_sees, stand_in, example))
        usual = partial(_begin, stand_in)
        stand_in.an_input()  # without one nothing below could be held
        add("answers a duplicate once", partial(_duplicate, usual))
        add("does the same after a crash", partial(_crash, usual))
        add("leaves what was cancelled in the queue", partial(_cancelled_in_the_queue, usual))
        add("lets go of what is cancelled", partial(_let_go, usual, "cancel"))
        add("lets go of what is too late", partial(_let_go, usual, "expire"))
        add("bears an answer that comes too late", partial(_late_answer, usual))
    if not found:
        raise MisconfiguredError(
            f"agent {agent.name} {agent.version} accepts no contract; register a function"
        )
    return found


def _title(contract: Contract) -> str:
    return f"{contract.name}/{contract.version}"


def _begin(stand_in: StandIn, seam: Seam) -> Piece:
    return seam.draft(_title(stand_in.contract), stand_in.an_input().payload, authority=_WITH_EFFECTS)


async def _answers(stand_in: StandIn, example: Example, seam: Seam) -> None:
    may_fail = any(e.on == "error" and e.request == example.payload for e in stand_in.answers())
    try:
        await seam.ask(_title(stand_in.contract), example.payload)
    except Failed as error:
        if not may_fail:
            raise AssertionError(
                f"the agent answers the admitted example with an error: {error.reason}"
            ) from error
    except Refused as error:
        raise AssertionError(
            f"the contract does not admit what the agent answers: {error.rule}: {error.reason}"
        ) from error
    except TimeoutError as error:
        raise _unanswered(seam) from error


async def _never_sees(stand_in: StandIn, example: Example, seam: Seam) -> None:
    try:
        await seam.ask(_title(stand_in.contract), example.payload)
    except Refused as error:
        rule = error.rule.removeprefix("rule:")
        if rule not in example.violates:
            named = ", ".join(example.violates)
            raise AssertionError(f"it is refused by {rule}, the example names {named}") from error
        return
    raise AssertionError("the contract admits it")


async def _duplicate(usual: Callable[[Seam], Piece], seam: Seam) -> None:
    piece = usual(seam)
    await seam.again(piece)
    await seam.again(piece)
    await _over(seam, piece)
    await seam.again(piece)
    await _works_on(usual, seam)

    assert piece.taken == 1, f"the agent ran the same work {piece.taken} times"  # noqa: S101  # a test's own check
    _same(piece)


async def _crash(usual: Callable[[Seam], Piece], seam: Seam) -> None:
    piece = usual(seam)
    piece.held = piece.unheard = True
    await seam.again(piece)
    answered: set[str] = set()
    for _ in range(_CRASHES):
        # An answer that lies in the inbox already spares the handing on: crash while it is still waited for.
        await _says_more(seam, piece, 0 if not answered else len(piece.handed_on) + len(piece.answers))
        said = len(piece.handed_on) + len(piece.answers)
        await seam.stop()
        await seam.start()
        await _says_more(seam, piece, said)
        if piece.answers:
            break
        for handoff in list(piece.handed_on):
            if handoff.record.id not in answered:
                answered.add(handoff.record.id)
                await seam.answer(piece, handoff)
    await seam.release(piece)
    await _over(seam, piece)
    _same(piece)


async def _says_more(seam: Seam, piece: Piece, said: int) -> None:
    await seam.until(
        lambda: len(piece.handed_on) + len(piece.answers) > said, "neither handed anything on nor answered"
    )


async def _cancelled_in_the_queue(usual: Callable[[Seam], Piece], seam: Seam) -> None:
    await seam.stop()
    piece = usual(seam)
    await seam.again(piece)
    await seam.cancel(piece)
    await seam.start()
    await _works_on(usual, seam)

    assert piece.taken == 0, "it ran, although it had been cancelled before"  # noqa: S101  # a test's own check


async def _let_go(usual: Callable[[Seam], Piece], how: str, seam: Seam) -> None:
    piece = usual(seam)
    piece.held = True
    await seam.again(piece)
    await _busy(seam, piece)
    await (seam.cancel(piece) if how == "cancel" else seam.expire(piece))
    await _works_on(usual, seam)
    handed, answered = len(piece.handed_on), len(piece.answers)
    await seam.release(piece)
    await _works_on(usual, seam)

    assert len(piece.handed_on) == handed, "it handed work on for what nobody waits for any more"  # noqa: S101  # a test's own check
    assert len(piece.answers) == answered, "it answered what nobody waits for any more"  # noqa: S101  # a test's own check


async def _late_answer(usual: Callable[[Seam], Piece], seam: Seam) -> None:
    piece = usual(seam)
    piece.held = True
    await seam.again(piece)
    await _busy(seam, piece)
    late = list(piece.handed_on)
    for handoff in late:
        await seam.expire_handoff(handoff)
    piece.held = False
    for handoff in late:
        await seam.answer(piece, handoff)
    await _over(seam, piece)
    await _works_on(usual, seam)


async def _busy(seam: Seam, piece: Piece) -> None:
    """Wait until the agent waits for somebody else, or has answered because it needs nobody."""
    await seam.until(
        lambda: bool(piece.handed_on or piece.answers), "neither handed anything on nor answered"
    )


async def _over(seam: Seam, piece: Piece) -> None:
    """Wait for an end of whatever kind: which one is another law's affair."""
    try:
        await seam.outcome(piece)
    except HandoffError:
        return
    except TimeoutError as error:
        raise _unanswered(seam) from error


def _unanswered(seam: Seam) -> AssertionError:
    return AssertionError(f"no answer within {seam.within_s:g} s")


async def _works_on(usual: Callable[[Seam], Piece], seam: Seam) -> None:
    """Give it more work and see it answered: the inbox is read in order, so what lies before has been seen too."""
    piece = usual(seam)
    await seam.again(piece)
    await _over(seam, piece)


def _same(piece: Piece) -> None:
    by_id: dict[str, set[tuple[object, ...]]] = {}
    for handoff in piece.handed_on:
        sent = handoff.record
        meaning = (sent.contract, sent.target, sent.payload_sha256, sent.constraints, sent.ceiling_micro_usd)
        by_id.setdefault(sent.id, set()).add(meaning)
    conflicts = [handoff.record.step for handoff in piece.handed_on if len(by_id[handoff.record.id]) > 1]
    assert not conflicts, (  # noqa: S101  # a test's own check
        f"step {conflicts[0]} was handed on twice with different content; the second time it would be refused as a "
        "conflict. Number steps by their input and make what is handed on from the input alone"
    )
