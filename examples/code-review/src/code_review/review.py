"""Say what is asked of a reviewer, and what a review is: the types of the contract code-review."""

from typing import Literal

from pydantic import BaseModel


class File(BaseModel):
    """One Go file."""

    name: str
    source: str


class ReviewRequest(BaseModel):
    """The files that somebody wants to merge."""

    title: str
    files: list[File]


class Finding(BaseModel):
    """One thing that the author should look at."""

    file: str
    note: str


class Review(BaseModel):
    """What the reviewer thinks of it; *surveyed* names the files of which it had the facts."""

    verdict: Literal["merge", "change"]
    summary: str
    surveyed: list[str]
    findings: list[Finding]
