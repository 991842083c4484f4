"""Deliberate defects, each a patch of the shipped code. `docs/reliability.md` says how many seeds find each."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import msgspec

from seamwork.agent import inbox
from seamwork.agent.desk import Desk
from seamwork.agent.dispatch import Dispatch
from seamwork.agent.planning import Planned
from seamwork.agent.prefix import FinishedPrefix
from seamwork.bus.port import Appended
from seamwork.catalog import Catalog, Context, builder, replies
from seamwork.catalog.canary import drawn
from seamwork.catalog.entries import IN_FORCE, Entry
from seamwork.contracts.masking import Mask
from seamwork.decider import Tick, read_all
from seamwork.documents.periods import period_start
from seamwork.errors import OutcomeUnknownError
from seamwork.gate import remembered, remembering
from seamwork.grants import entitlement, stamps
from seamwork.journal import Commit, Journal, janitor
from seamwork.journal import rule as reader_rule
from seamwork.journal.snapshots import SnapshotStore
from seamwork.records import enforcement
from seamwork.records.decision import TaskEnded
from seamwork.records.envelope import decode
from seamwork.runtime import agents_health, outgoing
from seamwork.runtime.batch import given_body
from seamwork.runtime.delivery import Delivery
from seamwork.runtime.gate import Gate
from seamwork.runtime.owned import Owned
from seamwork.testing.simulation import run as simulated_run
from seamwork.testing.simulation.mutations import Mutation
from seamwork.testing.simulation.process import START_MS
from seamwork_approval_workflow import decide as desks_decide
from seamwork_approval_workflow import replies as desks_replies
from seamwork_audit_sink import rows as audit_rows
from seamwork_audit_sink import store as audit_store
from seamwork_audit_sink.order import in_order
from seamwork_contract_validator import identity as validators_identity
from seamwork_contract_validator import promise
from seamwork_contract_validator import stamp as validators_stamp
from seamwork_cost_cap import budgets
from seamwork_cost_cap import decide as cost_decide
from seamwork_cost_cap import state as cost_state
from seamwork_cost_cap.state import Refunded, place_key
from seamwork_router import (
    accepting,
    approvals,
    checks,
    dispatching,
    ending,
    entering,
    failure,
    judging,
    people,
    pick,
    refusing,
    saying,
    tally,
    thresholds,
)
from seamwork_router import decide as router_decide
from seamwork_router import outputs as router_outputs
from seamwork_router.events import AnswerForwarded, Decided, NoticeGiven
from seamwork_router.plans import Joined

Patch = AbstractContextManager[object]


# ── The protocol ─────────────────────────────────────────────────────────────────────────


def publish_before_append() -> Patch:
    """Publish a batch's outputs before its commit is appended."""
    commit_as_it_is = Owned._commit

    async def commit(self: Any, batch: Any) -> Commit:
        ahead = Commit(
            epoch=self.journal.epoch, seq=self.journal.seq + 1, now=0, catalog=self.journal.catalog, inputs=(),
            positions={}, outputs=tuple(batch.outputs),
        )  # fmt: skip
        await self._delivery.publish(ahead, batch.records)
        return await commit_as_it_is(self, batch)

    return patch.object(Owned, "_commit", commit)


def no_contiguity_check() -> Patch:
    """Never read the gap between two own records."""

    async def check(_self: Any, _offset: int) -> None:
        return

    return patch.object(Journal, "_check", check)


def stale_epoch_trusted() -> Patch:
    """Let a commit of an epoch that is over count."""

    def accepts(self: Any, offset: int, record: Any) -> bool:
        if not isinstance(record, Commit):
            self.epoch, self.seq = offset, 0
            return True
        self.seq = record.seq
        return True

    return patch.object(reader_rule.ReaderRule, "accepts", accepts)


def unknown_taken_for_done() -> Patch:
    """Take an append without an answer for one that was made."""

    async def append(self: Any, value: bytes) -> Appended:
        try:
            appended: Appended = await self._log.append(self.place.journal, value)
        except OutcomeUnknownError:
            return Appended(self._previous + 1, self.now)
        return appended

    return patch.object(Journal, "_append_same", append)


def nothing_republished() -> Patch:
    """Forget at a restart what was promised and not published: notices, verdicts, dispatches."""

    async def republish(self: Any) -> None:
        self._journal.pending.clear()

    return patch.object(Delivery, "republish", republish)


def watermark_ahead() -> Patch:
    """Say in a commit that its own outputs are published."""
    commit_as_it_is = Journal.commit

    async def commit(self: Any, **fields: Any) -> Commit:
        self.published = (self.epoch, self.seq + 1)
        return await commit_as_it_is(self, **fields)

    return patch.object(Journal, "commit", commit)


def retry_out_of_order() -> Patch:
    """Publish a batch backwards."""
    confirmed_as_it_is = Delivery._confirmed

    async def confirmed(self: Any, batch: list[Any]) -> Any:
        found = await confirmed_as_it_is(self, batch[::-1])
        return [(len(batch) - 1 - index, error) for index, error in found]

    return patch.object(Delivery, "_confirmed", confirmed)


def snapshot_without_a_field() -> Patch:
    """Leave one field out of every snapshot."""
    begin_as_it_is = SnapshotStore.begin

    def begin(self: Any, snapshot: Any, state: Any) -> Any:
        fields = msgspec.json.decode(b"".join(state))
        fields.pop(next(iter(fields), ""), None)
        return begin_as_it_is(self, snapshot, iter((msgspec.json.encode(fields),)))

    return patch.object(SnapshotStore, "begin", begin)


def snapshot_of_a_later_instant() -> Patch:
    """Write a state down as it is when its turn comes, not as it was when the snapshot was begun."""

    def late(state: Any) -> Iterator[bytes]:
        yield b" " * 4_000  # more than a share
        read_all(state)
        yield msgspec.json.encode(state)

    return patch("seamwork.journal.journal.written", late)


def snapshot_with_old_positions() -> Patch:
    """Write the positions of the commit before into a snapshot."""
    commit_as_it_is, begin_as_it_is = Journal.commit, Journal.begin_snapshot

    async def commit(self: Any, **fields: Any) -> Commit:
        self.positions_before = dict(self.positions)
        return await commit_as_it_is(self, **fields)

    def begin(self: Any) -> None:
        now, self.positions = self.positions, self.positions_before
        try:
            begin_as_it_is(self)
        finally:
            self.positions = now

    return _both(patch.object(Journal, "commit", commit), patch.object(Journal, "begin_snapshot", begin))


def deadlines_over_unread() -> Patch:
    """Let a deadline fire over verdicts that lie unread."""

    def tick(self: Any, now: int) -> Any:
        due = self._decider.timer(self.journal.state)
        if due is None or due > now or self._delivery.bounced:
            return None
        return given_body(Tick())

    return patch.object(Owned, "_tick", tick)


def commit_before_publish() -> Patch:
    """Let a gate's offsets go ahead while its verdicts are still on their way."""
    publish_as_it_is = Gate._publish
    waiting: set[Any] = set()

    async def publish(self: Any, batch: list[Any]) -> None:
        async def later() -> None:
            await asyncio.sleep(3.0)
            await publish_as_it_is(self, batch)

        task = asyncio.get_running_loop().create_task(later())
        waiting.add(task)
        task.add_done_callback(waiting.discard)

    return patch.object(Gate, "_publish", publish)


# ── Decisions ────────────────────────────────────────────────────────────────────────────


def time_from_the_clock() -> Patch:
    """Ask the machine's clock in a decision, instead of the commit's time."""
    decide_as_it_is = router_decide._decide

    def decide(place: Any, state: Any, given: Any, context: Context) -> Any:
        now = context.now + int(time.monotonic() * 1000) % 7
        return decide_as_it_is(place, state, given, Context(now, context.catalog))

    return patch.object(router_decide, "_decide", decide)


def digest_forgotten() -> Patch:
    """Count a verdict by its position alone, whatever record it is about."""
    late_as_it_is = entering.late

    def late(live: Any, verdict: Any) -> Any:
        if live is not None:
            verdict = msgspec.structs.replace(
                verdict, subject=msgspec.structs.replace(verdict.subject, digest=live.facts.digest)
            )
        return late_as_it_is(live, verdict)

    return _both(patch.object(entering, "late", late), patch.object(router_decide, "late", late))


def dedupe_by_offset() -> Patch:
    """Know a crossing again by its offset alone, so that the same id at another offset is new."""
    return patch.object(entering, "known_as", lambda _state, _facts: None)


def reservation_released_twice() -> Patch:
    """Take what a dispatch had reserved off its accounts twice."""
    settle_as_it_is = cost_state._settle

    def settle(ledger: Any, event: Any) -> None:
        reservation = ledger.of_dispatch(event.dispatch)
        if reservation is not None:
            cost_state._put(ledger, reservation, -1)
        settle_as_it_is(ledger, event)

    return patch.object(cost_state, "_settle", settle)


def cap_checked_alone() -> Patch:
    """Hold a handoff against the cap as if nothing else were reserved."""
    return patch.object(cost_state.Ledger, "taken", lambda _self, _account: 0)


def refund_forgotten() -> Patch:
    """Never give back what was reserved and not dispatched."""
    return patch.object(cost_decide, "_never_dispatched", lambda *_args: iter(()))


def another_signers_result() -> Patch:
    """Take a result from whoever holds the stamp, not only from whom it was made for."""
    quiet = [(name, check) for name, check in checks.ENTRY if name != "stamp-not-yours"]
    result = [(name, check) for name, check in checks.RESULT if name != "stamp-not-yours"]
    return _both(
        patch.object(entering, "ENTRY", quiet),
        patch.object(judging, "_CHECKS", {**judging._CHECKS, "result": result}),
        patch.object(validators_stamp, "misfit", lambda _work, _record: None),
        patch.object(entitlement, "misfit", lambda _work, _record: None),
    )


def constraint_dropped_by_an_answer() -> Patch:
    """Take a result that does not name the constraints of its stamp."""
    loose = [(name, check) for name, check in checks.RESULT if name != "constraint-dropped"]
    return patch.object(judging, "_CHECKS", {**judging._CHECKS, "result": loose})


def plan_ignored() -> Patch:
    """Hand on what the adopted plan does not name."""
    return _without("handoff", "not-in-plan")


def dependency_ignored() -> Patch:
    """Hand a part of a plan on before there is an answer of what it comes after."""
    return _both(
        _without("handoff", "dependency-unmet"),
        patch.object(Planned, "_barred", lambda *_args: False),
    )


def gaps_forgotten() -> Patch:
    """Count a result as whole whatever is missing of its plan."""
    return patch.object(accepting, "join", lambda _task, _errand, outcome: Joined(outcome, ()))


def order_of_anybody() -> Patch:
    """Put the work of a case back by whoever's order, or by none."""
    quiet = [(name, check) for name, check in checks.ENTRY if name != "order-invalid"]
    return patch.object(entering, "ENTRY", quiet)


def catalog_ignored() -> Patch:
    """Decide without having seen the documents that the gates had seen."""
    return patch.object(judging, "reached", lambda _scene: True)


def retry_without_the_cap() -> Patch:
    """Judge a handoff again without asking the cost cap."""
    return patch.object(judging, "_COST", "nobody")


def cancelled_and_dispatched() -> Patch:
    """Say that a task was cancelled or ran out, and let its crossings go on."""
    as_it_is = ending.stop_task

    def stop_task(*args: Any, **kwargs: Any) -> Iterator[Any]:
        yield from (one for one in as_it_is(*args, **kwargs) if isinstance(one, Decided))

    return _both(*(patch.object(module, "stop_task", stop_task) for module in (router_decide, people)))


def deeper_than_allowed() -> Patch:
    """Grant a receiver as many levels of delegation as its sender has."""
    return patch.object(checks, "one_deeper", lambda authority: authority)


def approval_assumed() -> Patch:
    """Go on with what needs people without asking them."""

    def hold(scene: Any, votes: Any, plan: Any) -> Iterator[Any]:
        yield from dispatching.dispatch(scene, scene.task, scene.errand, votes, plan)

    return patch.object(judging, "_hold", hold)


def silence_is_consent() -> Patch:
    """Go on without a gate that did not answer in time."""

    def without_silence(scene: Any, silent: Sequence[str] = ()) -> Any:
        del silent
        return tally.tally_of(scene)

    return patch.object(judging, "tally_of", without_silence)


def spared_along_every_flow() -> Patch:
    """Let what a gate marks as spared go on, whatever the flow in force says."""
    as_it_is = enforcement.spares
    return patch.object(tally, "spares", lambda _mode, sparing: as_it_is("observe", sparing))


def task_ends_twice() -> Patch:
    """Say twice that a task ended."""
    as_it_is = ending.stop_task

    def stop_task(*args: Any, **kwargs: Any) -> Iterator[Any]:
        events = list(as_it_is(*args, **kwargs))
        yield from events
        yield from (one for one in events if isinstance(getattr(one, "decision", None), TaskEnded))

    return patch.object(router_decide, "stop_task", stop_task)


def audit_leaves_out() -> Patch:
    """Leave a record out of the audit, and go past it."""

    def leaky(runs: Any) -> list[Any]:
        return [raw for raw in in_order(runs) if raw.offset != 30]  # any one

    return patch.object(audit_store, "in_order", leaky)


def audit_without_signatures() -> Patch:
    """Keep of a record's headers the envelope alone, so that nobody can prove who signed it."""

    def row_of(*args: Any) -> Any:
        row, found = audit_rows.row_of(*args)
        return row._replace(headers=msgspec.msgpack.encode([["sw_envelope"]] if row.envelope else [])), found

    return patch.object(audit_store, "row_of", row_of)


def answer_not_passed_on() -> Patch:
    """Accept a result, and send it to nobody."""
    return _unsaid(lambda event: isinstance(event, AnswerForwarded))


def refused_in_silence() -> Patch:
    """Refuse something without a word to its sender."""
    return _unsaid(lambda event: isinstance(event, NoticeGiven) and event.notice.what == "refused")


def handed_on_by_nobody() -> Patch:
    """Let a handoff go on whose sender does not hold the work any more."""
    quiet = [(name, check) for name, check in checks.ENTRY if name != "stamp-closed"]
    return _both(_without("handoff", "stamp-closed"), patch.object(entering, "ENTRY", quiet))


def answered_over_children() -> Patch:
    """Take an answer from whoever has somebody else working for it still."""
    return _without("result", "open-children")


def throttle_taken_for_a_no() -> Patch:
    """Refuse what a gate wants to have wait."""
    as_it_is = tally.counted_as

    def counted_as(*args: Any) -> str:
        outcome = as_it_is(*args)
        return "DENY" if outcome == "THROTTLE" else outcome

    return patch.object(tally, "counted_as", counted_as)


def one_try_more() -> Patch:
    """Try work again once more than its contract says."""
    as_it_is = failure._possible

    def possible(context: Any, task: Any, errand: Any, handling: Any, step: Any) -> bool:
        if step == "retry":
            handling = handling.model_copy(update={"attempts": handling.attempts + 1})
        return as_it_is(context, task, errand, handling, step)

    return patch.object(failure, "_possible", possible)


def begun_after_the_deadline() -> Patch:
    """Hand work over whose deadline has passed."""
    return _without("handoff", "deadline-passed")


def always_whole() -> Patch:
    """Say of a task that it is complete, whatever its root's answer says."""
    return patch.object(
        accepting, "_TASK_OUTCOMES", dict.fromkeys(("success", "partial", "error"), "complete")
    )


def deadline_called_a_cancellation() -> Patch:
    """Say of a task whose deadline has passed that somebody cancelled it."""
    as_it_is = ending.stop_task

    def stop_task(context: Any, task: Any, _outcome: Any, reason: str) -> Iterator[Any]:
        yield from as_it_is(context, task, "cancelled", reason)

    return patch.object(router_decide, "stop_task", stop_task)


def settled_for_nothing() -> Patch:
    """Settle every dispatch as if it had spent nothing."""
    as_it_is = cost_decide._ended

    def ended(ledger: Any, dispatch: str, final: int | None, why: str) -> Iterator[Any]:
        yield from as_it_is(ledger, dispatch, None if final is None else 0, why)

    return patch.object(cost_decide, "_ended", ended)


def charged_to_nobody() -> Patch:
    """Give back what a dispatch was reserved for when it goes out."""

    def dispatched(ledger: Any, decision: Any, _context: Any) -> Iterator[Any]:
        subject = decision.subject
        for key in cost_decide._held(ledger, place_key(subject.partition, subject.offset)):
            yield Refunded(reservation=key, why="dispatched")

    return patch.object(cost_decide, "_dispatched", dispatched)


def budgets_of_agents_forgotten() -> Patch:
    """Charge the task's budget alone, and nobody's own."""
    return patch.object(cost_decide, "lines_of_agent", lambda *_args: ())


def _unsaid(silent: Callable[[Any], bool]) -> Patch:
    """Let the router remember what it would say, and not say it."""
    as_it_is = router_outputs.outputs
    return patch.object(router_decide, "outputs", lambda event: () if silent(event) else as_it_is(event))


def drill_taken_for_work() -> Patch:
    """Give the work of a drill to whom it would go to."""
    return patch.object(judging, "drilled", lambda _scene: False)


def drill_not_told() -> Patch:
    """Leave out of decisions that nobody's work is concerned."""
    return patch.object(saying, "drilled", lambda _scene: False)


def breaker_set_in_vain() -> Patch:
    """Look at failures alone, whatever a person set a breaker to."""
    return patch.object(Catalog, "agent_breaker", lambda *_args: None)


def pause_ignored() -> Patch:
    """Hand work to an agent that is paused."""
    return patch.object(Catalog, "agent_paused", lambda *_args: False)


def retired_given_work() -> Patch:
    """Give new work to agent versions that were retired."""
    still = IN_FORCE | {"retired"}
    return _both(
        patch.object(Entry, "in_force", lambda entry, at: entry.status(at) in still),
        patch.object(pick, "IN_FORCE", still),
    )


def retired_not_heard() -> Patch:
    """Refuse what a retired agent version says of work that it was given before."""
    as_it_is = validators_identity._source_problem  # the check that is broken
    return patch.object(
        validators_identity,
        "_source_problem",
        lambda crossing, record, context: as_it_is(
            crossing, msgspec.structs.replace(record, stamp=None), context
        ),
    )


def taken_in_ignored() -> Patch:
    """Take an answer that was made from other bytes than were delivered."""
    return _without("result", "taken-in-differs")


def projection_not_cut() -> Patch:
    """Send a receiver all, and sign that it gets what its contract describes."""
    return patch.object(outgoing, "cut", lambda payload, _projection: payload)


def delivery_not_counted() -> Patch:
    """Forget between verdict and stamp what is delivered."""
    return patch.object(pick, "delivered", lambda _live: None)


def consent_assumed() -> Patch:
    """Take an answer that a person should have looked at."""

    def hold(scene: Any, votes: Any, plan: Any) -> Iterator[Any]:
        if scene.named is None or scene.facts.result is None:
            yield from hold_as_it_is(scene, votes, plan)
        else:
            yield from accepting.accept(scene, scene.task, scene.errand, scene.named, votes)

    hold_as_it_is = judging._hold
    return patch.object(judging, "_hold", hold)


def trimmed_before_the_audit() -> Patch:
    """Delete what snapshots stand for, whether or not the audit has it."""
    trim_as_it_is = janitor.trim

    async def trim(log: Any, decider: Any, place: Any, kept: Any = None) -> Any:
        del kept
        return await trim_as_it_is(log, decider, place, None)

    return patch.object(simulated_run, "trim", trim)


def trimmed_too_far() -> Patch:
    """Delete the journal up to its end, instead of to the last but one snapshot."""

    async def delete(log: Any, partition: Any, start: int, until: int) -> None:
        del start, until
        if partition.topic.startswith("journal."):
            await log.trim(partition, (await log.end_offsets([partition]))[partition])

    return patch.object(janitor, "_delete", delete)


def agent_commits_early() -> Patch:
    """Let an agent's offsets pass work that is not finished."""
    return patch.object(FinishedPrefix, "committable", property(lambda self: self.position))


def handed_on_by_anybody() -> Patch:
    """Let whoever likes hand work on under a contract that names its producers."""
    return patch.object(promise, "may_produce", lambda *_args: True)


def shown_to_people() -> Patch:
    """Show people what contracts hide from them."""
    return patch.object(Mask, "apply", lambda _self, value: value)


def overrun_ignored() -> Patch:
    """Let whoever spent more than their stamp allows go on."""

    def over(_dispatch: Any, _spent: Any) -> bool:
        return False

    return _both(
        patch.object(accepting, "over_ceiling", over), patch.object(dispatching, "over_ceiling", over)
    )


def tried_again_at_once() -> Patch:
    """Try work again without the pause that its contract wants."""
    return patch.object(failure, "backoff_ms", lambda *_args: 0)


def mended_for_ever() -> Patch:
    """Let an answer be mended however often it is refused."""
    return patch.object(refusing, "corrections_left", lambda *_args: 9)


def narrowed_in_vain() -> Patch:
    """Grant what a gate has taken away, and forget the constraints that it has put on the work."""
    as_it_is = tally.tally_of

    def tally_of(*args: Any) -> Any:
        return msgspec.structs.replace(as_it_is(*args), authority=None, constraints=())

    return patch.object(judging, "tally_of", tally_of)


def more_than_it_may_have() -> Patch:
    """Grant a receiver what its own document does not allow it."""
    return patch.object(pick, "_most", lambda *_args: None)


def one_is_enough() -> Patch:
    """Go on when one person has agreed, however many must."""

    def alone(demands: Any) -> tuple[Any, ...]:
        return tuple(msgspec.structs.replace(one, count=1) for one in demands)

    agreed, suffices = approvals.agreed, desks_decide._suffices

    def enough(request: Any, *args: Any) -> bool:
        asked = msgspec.structs.replace(request.asked, approvers=alone(request.asked.approvers))
        return suffices(msgspec.structs.replace(request, asked=asked), *args)

    def believed(scene: Any, holding: Any, *args: Any) -> Any:
        return agreed(scene, msgspec.structs.replace(holding, approvers=alone(holding.approvers)), *args)

    return _both(patch.object(desks_decide, "_suffices", enough), patch.object(judging, "agreed", believed))


def whoever_answers() -> Patch:
    """Count the answer of somebody who was not asked."""
    return _both(
        patch.object(replies, "has_role", lambda *_args: True),
        patch.object(desks_decide, "has_role", lambda *_args: True),
        patch.object(approvals, "_is_asked", lambda *_args: True),
    )


def answered_to_somebody_else() -> Patch:
    """Send an answer to another agent than waits for it."""

    def outputs(event: Any) -> Any:
        if isinstance(event, AnswerForwarded):
            event = msgspec.structs.replace(
                event, answer=msgspec.structs.replace(event.answer, agent="helper")
            )
        return router_outputs.outputs(event)

    return patch.object(router_decide, "outputs", outputs)


def taken_back_in_silence() -> Patch:
    """Take work back from its holder without a word."""
    return _unsaid(
        lambda event: isinstance(event, NoticeGiven) and event.notice.what in {"cancelled", "expired"}
    )


def never_in_doubt() -> Patch:
    """Ask nobody about an answer that is not sure of itself."""
    return patch.object(promise, "sure_enough", lambda *args: args[4])


def word_to_the_wrong_one() -> Patch:
    """Tell whoever waits for work that its place was given away, when the transfer comes again."""
    return patch.object(entering, "_gave_away", lambda _known: False)


def precondition_ignored() -> Patch:
    """Let work go on before what its contract wants done first."""
    return _without("handoff", "precondition-unmet")


def effect_not_held() -> Patch:
    """Let work go on unasked though its receiver may cause what cannot be undone."""
    return patch.object(thresholds, "_irreversible", lambda _contract, _plan: ())


def begun_unread() -> Patch:
    """Let an agent that was away begin its functions before it has read what became of their work."""

    async def known(_self: Any, _dispatch: Any) -> None:
        return

    return patch.object(Desk, "known", known)


def begun_unaccepted() -> Patch:
    """Let an agent begin what may cause effects before the log has its word that it does."""

    async def accept(_self: Any, _offer: Any) -> None:
        return

    return patch.object(Dispatch, "_accept", accept)


# ── What is not its writer's ─────────────────────────────────────────────────────────────


def sender_assumed() -> Patch:
    """Let crossings pass whoever signed them, or nobody."""
    return patch.object(validators_identity, "_signature_problem", lambda *_args: None)


def body_assumed() -> Patch:
    """Let crossings pass whose body is another than was signed."""
    return patch.object(validators_identity, "_content_problem", lambda *_args: None)


@contextmanager
def stamp_of_anybody() -> Iterator[None]:
    """Believe a stamp whoever signed it."""
    stamps._issued.cache_clear()  # it remembers what was there before the defect
    try:
        with patch.object(stamps, "verifies", lambda *_args: True):
            yield
    finally:
        stamps._issued.cache_clear()  # and what was there with it


def begun_by_anybody() -> Patch:
    """Let any agent begin a task."""
    return patch.object(validators_stamp, "_root_problem", lambda *_args: None)


def reserved_for_anybody() -> Patch:
    """Set money aside for what nobody has proved to be theirs."""
    as_it_is = entitlement.entitlement

    def entitled(*args: Any) -> Any:
        found = as_it_is(*args)
        return None if isinstance(found, stamps.StampProblem) else found

    return patch.object(cost_decide, "entitlement", entitled)


def told_without_proof() -> Patch:
    """Tell the agent that a crossing names of its refusal, whoever wrote it."""
    as_it_is = refusing.refuse

    def refuse(scene: Any, votes: Any, problem: Any, **_verified: Any) -> Iterator[Any]:
        yield from as_it_is(scene, votes, problem, verified=True)

    return patch.object(judging, "refuse", refuse)


def verdict_of_anybody() -> Patch:
    """Count a verdict as that of the gate that it names, wherever it lies."""
    as_it_is = router_decide._on_verdict

    def on_verdict(place: Any, state: Any, given: Any, verdict: Any, *rest: Any) -> Iterator[Any]:
        raw = msgspec.structs.replace(given.raw, topic=f"verdicts.{verdict.gate}.v1")
        yield from as_it_is(place, state, msgspec.structs.replace(given, raw=raw), verdict, *rest)

    return patch.object(router_decide, "_on_verdict", on_verdict)


def inbox_of_anybody() -> Patch:
    """Let an agent believe what lies in its inbox, whoever wrote it."""
    return patch.object(inbox, "_refuse_forged", lambda *_args: None)


def documents_of_anybody() -> Patch:
    """Let documents and activations count whoever signed them."""
    return patch.object(builder, "record_verifies", lambda *_args: True)


def said_again_and_again() -> Patch:
    """Let an activation count again when it comes again."""

    def repeated(self: Any, raw: Any, record: Any, _first: int) -> Any:
        return self._activation(raw, record, by_root=False)

    return patch.object(builder.CatalogBuilder, "_repeated", repeated)


def approved_by_anybody() -> Patch:
    """Count an answer as that of the person whom it names, whoever signed it."""

    def reply(_scene: Any, record: Any, _at: int) -> Any:
        return decode(record.envelope.encode("ascii"))

    return _both(
        patch.object(desks_replies, "signature_flaw", lambda *_args: None),
        patch.object(desks_decide, "still_counts", lambda *_args: True),
        patch.object(approvals, "_reply", reply),
    )


def cancelled_by_anybody() -> Patch:
    """Cancel a task by the order of whoever is named in it."""
    return patch.object(people, "_objection", lambda *_args: None)


def signs_of_life_of_anybody() -> Patch:
    """Begin no task because somebody says for a service that none may be."""
    return patch.object(agents_health, "record_verifies", lambda *_args: True)


def canary_for_all() -> Patch:
    """Let a canary count for every task, whatever its share is."""
    return patch.object(entering, "drawn", lambda _task, _gate: True)


def canary_of_the_moment() -> Patch:
    """Draw anew for each crossing whether a canary counts for its task."""

    def taking(_state: Any, canaries: Any, name: str) -> frozenset[str]:
        return frozenset(gate.title for gate in canaries if drawn(name, gate))

    return patch.object(entering, "_taking", taking)


def canary_in_vain() -> Patch:
    """Count neither the canary nor the gate in whose place it stands."""

    def seated(gates: Any, taking: Any) -> Any:
        gone = {gate.replaces for gate in gates if gate.title in taking}
        return tuple(
            replace(gate, mode="shadow") if gate.mode == "canary" or gate.name in gone else gate
            for gate in gates
        )

    return patch.object(entering, "seated", seated)


def budgets_never_begin_anew() -> Patch:
    """Charge the work of every hour to the first one."""
    return patch.object(budgets, "period_start", lambda per, _at: period_start(per, START_MS))


def charged_to_a_later_hour() -> Patch:
    """Charge work to the budget of the hour in which it will be under way."""
    lines_as_they_are = budgets.lines_of_agent

    def lines_of_agent(catalog: Any, agent: str, at: int) -> Any:
        return lines_as_they_are(catalog, agent, at + 2_000)

    return patch.object(cost_decide, "lines_of_agent", lines_of_agent)


def noted_twice() -> Patch:
    """Let what is sent again under its id leave its notes again."""
    evolve_as_it_is = remembered.evolve

    def evolve(state: Any, event: Any) -> Any:
        if isinstance(event, remembered.Judged):
            event = msgspec.structs.replace(event, content=None)
        return evolve_as_it_is(state, event)

    return patch.object(remembered, "evolve", evolve)


def notes_of_anybody() -> Patch:
    """Ask a gate that remembers about crossings whose sender is not proved."""
    return patch.object(remembering, "_unproved", lambda *_args: None)


def _without(kind: str, name: str) -> Patch:
    """Let one check of the router's on crossings of *kind* pass everything."""
    loose = [(known, check) for known, check in judging._CHECKS[kind] if known != name]
    return patch.object(judging, "_CHECKS", {**judging._CHECKS, kind: loose})


@contextmanager
def _both(*patches: Any) -> Iterator[None]:
    for one in patches:
        one.start()
    try:
        yield
    finally:
        for one in reversed(patches):
            one.stop()


_DEFECTS = (
    publish_before_append, no_contiguity_check, stale_epoch_trusted, unknown_taken_for_done,
    nothing_republished, watermark_ahead, retry_out_of_order, snapshot_without_a_field,
    snapshot_of_a_later_instant, snapshot_with_old_positions, deadlines_over_unread, commit_before_publish,
    time_from_the_clock,
    digest_forgotten, dedupe_by_offset, reservation_released_twice, cap_checked_alone, refund_forgotten,
    another_signers_result, constraint_dropped_by_an_answer, plan_ignored, dependency_ignored,
    gaps_forgotten, order_of_anybody, catalog_ignored, retry_without_the_cap, cancelled_and_dispatched,
    deeper_than_allowed, approval_assumed, silence_is_consent, spared_along_every_flow, task_ends_twice,
    audit_leaves_out, audit_without_signatures, agent_commits_early, drill_taken_for_work, drill_not_told,
    breaker_set_in_vain, pause_ignored, retired_given_work, retired_not_heard, taken_in_ignored,
    projection_not_cut, delivery_not_counted, consent_assumed,
    trimmed_before_the_audit, trimmed_too_far, begun_unread, begun_unaccepted, effect_not_held,
    precondition_ignored, word_to_the_wrong_one, answer_not_passed_on, refused_in_silence,
    handed_on_by_nobody, answered_over_children, throttle_taken_for_a_no, one_try_more, begun_after_the_deadline,
    settled_for_nothing, charged_to_nobody, budgets_of_agents_forgotten,
    always_whole, deadline_called_a_cancellation, handed_on_by_anybody, shown_to_people,
    overrun_ignored, tried_again_at_once, mended_for_ever, narrowed_in_vain, more_than_it_may_have,
    one_is_enough, whoever_answers, answered_to_somebody_else, taken_back_in_silence, never_in_doubt,
    sender_assumed, body_assumed, stamp_of_anybody, begun_by_anybody, reserved_for_anybody, told_without_proof,
    verdict_of_anybody, inbox_of_anybody, documents_of_anybody, said_again_and_again, approved_by_anybody,
    cancelled_by_anybody, signs_of_life_of_anybody, canary_for_all, canary_of_the_moment, canary_in_vain,
    budgets_never_begin_anew, charged_to_a_later_hour, noted_twice, notes_of_anybody,
)  # fmt: skip
MUTATIONS = tuple(
    Mutation(defect.__name__.replace("_", "-"), (defect.__doc__ or "").strip(), defect) for defect in _DEFECTS
)
