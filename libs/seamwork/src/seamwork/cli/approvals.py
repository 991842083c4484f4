"""``seamwork approvals``: what people are asked, and their answers."""

import secrets
from collections.abc import Mapping
from typing import Any, Literal

import click
import msgspec

from seamwork.cli.terminal import answer, door_of, json_option, platform_option, running_loop, table
from seamwork.clock import SystemClock
from seamwork.errors import UnprocessableError
from seamwork.grants.evidence import evidence_bytes, most_evidence
from seamwork.ids import uuid7
from seamwork.platform.approvals import Missing, Said, Standing, approvals_of, left_after
from seamwork.platform.members import person_kid
from seamwork.platform.people import ask
from seamwork.platform.wording import plain
from seamwork.records.envelope import encode
from seamwork.records.people import ApprovalRequest, Reply
from seamwork.records.verdict import SignedRecord
from seamwork.records.wire import rfc3339

_SIG = 88  # characters of a signature


@click.group()
def approvals() -> None:
    """See what people are asked, and answer."""


@approvals.command("list")
@click.option("--all", "every", is_flag=True, help="Those that have ended, too.")
@click.option(
    "--for", "person", metavar="NAME", help="Those alone for which the yes of this person is missing."
)
@platform_option
@json_option
@running_loop
async def list_approvals(every: bool, person: str | None, platform: str) -> None:
    """
    List the open requests.

    \b
      seamwork approvals list
      seamwork approvals list --for ada
    """
    found = await approvals_of(door_of(platform))
    shown = [
        one
        for one in found.values()
        if (every or one.end is None)
        and (person is None or any(person in missing.people for missing in one.missing))
    ]
    rows = [
        [
            one.request.id,
            _roles(one.request),
            ", ".join(said.person for said in one.said if said.answer == "approve") or "-",
            one.request.asked,
            rfc3339(one.request.expires_at)[:19],
            one.end.how if one.end is not None else "open",
        ]
        for one in shown
    ]
    heads = ["request", "asked of", "agreed", "question", "until (UTC)", ""]
    answer([_public(one) for one in shown], lambda: table(heads, rows))


@approvals.command("show")
@click.argument("request")
@platform_option
@json_option
@running_loop
async def show(request: str, platform: str) -> None:
    """
    Show one request: what it is about, what each answer does, who has answered.

    What is missing is named with those who could still agree.

    \b
      seamwork approvals show 4f0c...
    """
    asked = one_of(await approvals_of(door_of(platform)), request)
    answer(_public(asked), lambda: text_of(asked))


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


def one_of(requests: Mapping[str, Standing], wanted: str) -> Standing:
    """
    Return the request that *wanted* names, by its id or the beginning of it.

    Raises:
        UnprocessableError: None or several begin so, or nothing was said.
    """
    # What is empty begins every id: a script whose variable is must not answer the only request there is.
    found = [one for identity, one in requests.items() if wanted and identity.startswith(wanted)]
    if len(found) != 1:
        raise UnprocessableError(
            f"{len(found)} requests begin with {wanted!r}; see `seamwork approvals list --all`"
        )
    return found[0]


def text_of(standing: Standing) -> str:
    """Write a request as a person reads it."""
    request, end = standing.request, standing.end
    seam = f"{request.source.agent} → {request.receiver.agent}@{request.receiver.version}"
    lines = [
        f"request   {request.id}",
        f"asked of  {_roles(request)}",
        *(_line_of(said) for said in standing.said),
        *(f"missing   {one}" for one in map(_waited_for, standing.missing)),
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
    standing = one_of(await approvals_of(door), request)
    asked = standing.request
    if standing.end is not None:
        raise UnprocessableError(f"the request has ended ({standing.end.how}); there is nothing to answer")
    now = SystemClock().now_ms()
    identity = uuid7(now, secrets.token_bytes(10))

    def reply(name: str) -> Reply:
        refuse_repeated(standing, name, said)
        made = Reply(
            id=identity, request=asked.id, task=asked.task, action_sha256=asked.action_sha256, person=name,
            answer=said, note=note, answered_at=now,
        )  # fmt: skip
        refuse_long(made, asked, door.home.latest_kid(person_kid(name)))
        return made

    who = await ask(door, person, "answers.v1", asked.task, reply, asked.approvers)
    left = left_after(standing.missing, who) if said == "approve" else ()
    waits = "".join(f"; missing: {one}" for one in map(_waited_for, left))
    answer(
        {
            "request": asked.id,
            "person": who,
            "answer": said,
            "missing": [_public_missing(one) for one in left],
        },
        lambda: f"{who}: {said} ({asked.id}){waits}",
    )


def refuse_repeated(standing: Standing, person: str, said: str) -> None:
    """
    Refuse what *person* has said before: it counts, and would not count twice.

    Raises:
        UnprocessableError: They have.
    """
    if any((one.person, one.answer) == (person, said) for one in standing.said):
        waits = "".join(f"; missing: {one}" for one in map(_waited_for, standing.missing))
        raise UnprocessableError(f"{person} has said {said} already, and it counts{waits}")


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


def _line_of(said: Said) -> str:
    note = f": {plain(said.note)}" if said.note else ""
    verb = {"approve": "agreed  ", "reject": "rejected"}[said.answer]
    return f"{verb}  {said.person}, {rfc3339(said.at)}{note}"


def _waited_for(missing: Missing) -> str:
    who = ", ".join(missing.people)
    if len(missing.people) < missing.more:
        known = f"only {who}" if who else "nobody further"
        role = "".join(f" --role {role}" for role in missing.demand.roles[:1])
        who = f"{known} is known as such: `seamwork people add NAME{role}`"
    return f"{missing.more} of {missing.demand.named} ({who})"


def _public(standing: Standing) -> dict[str, Any]:
    value: dict[str, Any] = msgspec.to_builtins(standing.request)
    end = standing.end
    return {
        **value,
        "ended": end.how if end is not None else None,
        "said": msgspec.to_builtins(standing.said),
        "missing": [_public_missing(one) for one in standing.missing],
    }


def _public_missing(missing: Missing) -> dict[str, Any]:
    return {"of": missing.demand.named, "more": missing.more, "people": list(missing.people)}
