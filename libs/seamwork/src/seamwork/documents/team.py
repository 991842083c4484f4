"""Describe a team that owns seams: who is in it, and where it wants to be told."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from seamwork.documents.shape import Document, Name, Shape, Text
from seamwork.documents.webhook import Webhook


class TeamSpec(Shape):
    """
    The people of a team, by name; where an escalation names the team, each of them may answer.

    *webhook* is told of every refusal, hold and case at the seams that the team owns.
    """

    purpose: Text | None = None
    members: Annotated[tuple[Name, ...], Field(max_length=200)] = ()
    webhook: Webhook | None = None


class Team(Document):
    """One version of what is known of a team."""

    TOPIC: ClassVar[str] = "registry.v1"

    kind: Literal["Team"] = "Team"
    spec: TeamSpec
