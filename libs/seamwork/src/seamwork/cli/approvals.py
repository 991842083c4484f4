"""``seamwork approvals``: what people are asked, and their answers."""

import secrets
from typing import Any, Literal

import click
import msgspec

from seamwork.bus.port import Partition
from seamwork.cli.terminal import answer, door_of, json_option, platform_option, running_loop, table
from seamwork.clock import SystemClock
from seamwork.errors import UnprocessableError
from seamwork.grants.evidence import evidence_bytes, most_evidence
from seamwork.ids import uuid7
from seamwork.platform.door import Door
from seamwork.platform.members import person_kid
from seamwork.platform.people import ask
from seamwork.platform.whole import whole
from seamwork.platform.wording import plain
from seamwork.records.envelope import encode
from seamwork.records.people import ApprovalEnd, ApprovalRequest, Reply
from seamwork.records.verdict import SignedRecord
from seamwork.records.wire import Received, read, rfc3339

_SIG = 88  # characters of a signature


@click.group()
def approvals() -> None:
    """See what people are asked, and answer."""


@approvals.command("list")
@click.option("--all", "every", is_flag=True, help="Those that have ended, too.")
@platform_option
@json_option
@running_loop
async def list_approvals(every: bool, platform: str) -> None:
    """
    List the open requests.

    \b
      seamwork approvals list
    """
    requests, ends = await requested(door_of(platform))
    shown = [r for r in requests.values() if every or r.id not in ends]
    value = [{**_public(r), "ended": ends[r.id].how if r.id in ends else None} for r in shown]
    rows = [
        [r.id, _roles(r), r.asked, rfc3339(r.expires_at)[:19], ends[r.id].how if r.id in ends else "open"]
        for r in shown
    ]
    answer(value, lambda: table(["request", "asked of", "question", "until (UTC)", ""], rows))


@approvals.command("show")
@click.argument("request")
@platform_option
@json_option
@running_loop
async def show(request: str, platform: str) -> None:
    """
    Show one request: what stands behind it, and what each answer does.

    \b
      seamwork approvals show 4f0c...
    """
    found, ends = await requested(door_of(platform))
    asked = one_of(found, request)
    answer(_public(asked), lambda: text_of(asked, ends.get(asked.id)))


@approvals.command("approve")
@click.argument("request")
@click.option("--by", "person", help="Who answers; the one person of this machine unless given.")
@click.option("--note", default="", help="Kept with the answer.")
@platform_option
@json_option
@running_loop
async def approve(request: str, person: str | None, note: str, platform: str) -> None:
    """
    Say yes: the action goes on, exactly as it was shown.

    \b
      seamwork approvals approve 4f0c... --by ada
    """
    await _reply(request, person, note, platform, "approve")


@approvals.command("reject")
@click.argument("request")
@click.option("--by", "person", help="Who answers; the one person of this machine unless given.")
@click.option("--note", default="", help="Kept with the answer.")
@platform_option
@json_option
@running_loop
async def reject(request: str, person: str | None, note: str, platform: str) -> None:
    """
    Say no: the action is refused and its sender is told.

    \b
      seamwork approvals reject 4f0c... --by ada --note "not for this product"
    """
    await _reply(request, person, note, platform, "reject")


async def requested(door: Door) -> tuple[dict[str, ApprovalRequest], dict[str, ApprovalEnd]]:
    """Return every request that the log still has, and how those that ended did."""
    requests: dict[str, ApprovalRequest] = {}
    ends: dict[str, ApprovalEnd] = {}
    places = [Partition("approvals.v1", number) for number in range(door.identity.partitions)]
    async with door.log("people") as log:
        async for raw in whole(log, places):
            received = read(raw, door.identity.id)
            record = received.record if isinstance(received, Received) else None
            if isinstance(record, ApprovalRequest):
                requests[record.id] = record
                ends.pop(record.id, None)
            elif isinstance(record, ApprovalEnd):
                ends[record.id] = record
    return requests, ends


def one_of(requests: dict[str, ApprovalRequest], wanted: str) -> ApprovalRequest:
    """
    Return the request that *wanted* names, by its id or the beginning of it.

    Raises:
        UnprocessableError: None or several begin so, or nothing was said.
    """
    # What is empty begins every id: a script whose variable is must not answer the only request there is.
    found = [request for identity, request in requests.items() if wanted and identity.startswith(wanted)]
    if len(found) != 1:
        raise UnprocessableError(
            f"{len(found)} requests begin with {wanted!r}; see `seamwork approvals list --all`"
        )
    return found[0]


def text_of(request: ApprovalRequest, end: ApprovalEnd | None) -> str:
    """Write a request as a person reads it."""
    seam = f"{request.source.agent} → {request.receiver.agent}@{request.receiver.version}"
    lines = [
        f"request   {request.id}",
        f"asked of  {_roles(request)}",
        f"until     {rfc3339(request.expires_at)}" + (f"   ({end.how})" if end else ""),
        f"task      {request.task}",
        f"intent    {plain(request.intent)}",
        f"seam      {seam} under {request.contract.name} {request.contract.version}",
        "",
        f"State:     {request.state}",
        f"Proposed:  {request.proposed}",
        f"Asked:     {request.asked}",
        f"If yes:    {request.on_approve}",
        f"If no:     {request.on_reject}",
    ]
    return "\n".join(lines)


async def _reply(
    request: str, person: str | None, note: str, platform: str, said: Literal["approve", "reject"]
) -> None:
    door = door_of(platform)
    found, ends = await requested(door)
    asked = one_of(found, request)
    if asked.id in ends:
        raise UnprocessableError(f"the request has ended ({ends[asked.id].how}); there is nothing to answer")
    now = SystemClock().now_ms()
    identity = uuid7(now, secrets.token_bytes(10))

    def reply(name: str) -> Reply:
        made = Reply(
            id=identity, request=asked.id, task=asked.task, action_sha256=asked.action_sha256, person=name,
            answer=said, note=note, answered_at=now,
        )  # fmt: skip
        refuse_long(made, asked, door.home.latest_kid(person_kid(name)))
        return made

    who = await ask(door, person, "answers.v1", asked.task, reply, asked.approvers)
    answer({"request": asked.id, "person": who, "answer": said}, lambda: f"{who}: {said} ({asked.id})")


def refuse_long(reply: Reply, asked: ApprovalRequest, kid: str) -> None:
    """
    Refuse an answer, signed with the key *kid*, that has no room among those of all who must agree.

    Raises:
        UnprocessableError: Its note is too long.
    """
    envelope = encode(reply).decode("ascii")
    carried = SignedRecord(topic="answers.v1", key=reply.task, envelope=envelope, kid=kid, sig="=" * _SIG)
    size, most = evidence_bytes(carried), most_evidence(asked.approvers)
    if size > most:
        raise UnprocessableError(
            f"the answer takes {size} bytes; so that those of all who must agree fit into one record, each has "
            f"{most}: shorten --note"
        )


def _roles(request: ApprovalRequest) -> str:
    return "; ".join(f"{a.count} of {a.named}" for a in request.approvers)


def _public(request: ApprovalRequest) -> dict[str, Any]:
    value: dict[str, Any] = msgspec.to_builtins(request)
    return value
