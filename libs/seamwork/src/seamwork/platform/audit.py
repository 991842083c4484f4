"""Ask the audit sink: its read-only HTTP interface, on this machine or where ``SEAMWORK_AUDIT_URL`` says."""

import json
import os
import urllib.error
from http.client import HTTPException
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, unquote, urlencode

import msgspec

from seamwork.errors import MisconfiguredError, UnprocessableError
from seamwork.platform.asking import opened
from seamwork.platform.state import read_state
from seamwork.platform.views import Blame, BreakerLine, Summary, TaskLine, Trace
from seamwork.seams.measured import Measured
from seamwork.seams.steps import FlowReport

if TYPE_CHECKING:  # a door leads to the registrar, who is in no image
    from seamwork.platform.door import Door

T = TypeVar("T")
_NOT_FOUND = 404
_WITHIN_S = 30
_URL = "SEAMWORK_AUDIT_URL"


class _Page(msgspec.Struct):
    records: list[dict[str, Any]]
    next: int | None


class Audit:
    """The audit sink at one address."""

    def __init__(self, address: str) -> None:
        self._address = address

    @classmethod
    def of(cls, door: "Door") -> "Audit":
        """
        Find the audit sink of a platform: where it runs on this machine, or where ``SEAMWORK_AUDIT_URL`` says.

        Raises:
            MisconfiguredError: The platform runs none here, or nobody says where else.
        """
        if door.founded is not None:
            return cls.elsewhere(door.home.name)
        state = read_state(door.home.state_file)
        service = state.service("audit-sink") if state else None
        if service is None:
            raise MisconfiguredError(f"platform {door.home.name} runs no audit-sink; see `seamwork status`")
        return cls(f"http://127.0.0.1:{service.http_port}")

    @classmethod
    def elsewhere(cls, platform: str) -> "Audit":
        """
        Find the audit sink where ``SEAMWORK_AUDIT_URL`` says.

        Raises:
            MisconfiguredError: It says nothing, or no address.
        """
        return cls(_given_url(platform))

    def trace(self, task: str) -> Trace:
        """Return the tree of a task's crossings."""
        return self._asked(f"/v1/tasks/{quote(task, safe='')}/trace", Trace)

    def blame(self, task: str) -> Blame:
        """Return what a task's outcome goes back to."""
        return self._asked(f"/v1/tasks/{quote(task, safe='')}/blame", Blame)

    def tasks(  # one argument for each thing that can be asked for
        self,
        limit: int,
        *,
        since: int | None = None,
        quiet_since: int | None = None,
        refused: bool = False,
        owner: str | None = None,
    ) -> list[TaskLine]:
        """
        Return the latest tasks.

        Args:
            limit: So many at most.
            since: Those alone that began at this instant or later (ms).
            quiet_since: Those alone that run and of which nothing was recorded from this instant on (ms).
            refused: Those alone in which a crossing was refused.
            owner: Those alone that cross a seam of this team.
        """
        asked: dict[str, str | int | None] = {
            "limit": limit, "since": since, "quiet_since": quiet_since, "refused": int(refused), "owner": owner,
        }  # fmt: skip
        query = urlencode({name: value for name, value in asked.items() if value is not None})
        return self._asked(f"/v1/tasks?{query}", list[TaskLine])

    def breakers(self) -> list[BreakerLine]:
        """Return the breakers that are not closed."""
        return self._asked("/v1/breakers", list[BreakerLine])

    def positions(self) -> dict[str, int]:
        """Return ``topic/partition`` → next offset: what lies before is kept."""
        return self._asked("/v1/positions", dict[str, int])

    def summary(self) -> Summary:
        """Return what every service said so far, in numbers."""
        return self._asked("/v1/summary", Summary)

    def seams(self) -> Measured:
        """Return what was measured of each seam."""
        return self._asked("/v1/seams", Measured)

    def flow(self, name: str) -> FlowReport:
        """Return what each step of a flow refused, or would have."""
        return self._asked(f"/v1/flows/{quote(name, safe='')}", FlowReport)

    def records(self, task: str) -> list[dict[str, Any]]:
        """Return every record of a task, masked, in the order of the audit log."""
        found: list[dict[str, Any]] = []
        after: int | None = None
        while True:
            start = "" if after is None else f"&after={after}"
            page = self._asked(f"/v1/tasks/{quote(task, safe='')}/records?limit=500{start}", _Page)
            found += page.records
            after = page.next
            if after is None:
                return found

    def _asked(self, path: str, kind: type[T]) -> T:
        try:
            return msgspec.convert(self._get(path), kind)
        except ValueError as error:
            raise MisconfiguredError(
                f"what answers at {self._address} is no audit-sink of this release ({error}); see `seamwork status`"
            ) from error

    def _get(self, path: str) -> Any:
        try:
            with opened(self._address + path, _WITHIN_S) as got:
                return json.loads(got.read())
        except urllib.error.HTTPError as error:
            said = _sentence_of(error)
            if error.code == _NOT_FOUND and path.startswith("/v1/tasks/"):
                task = unquote(path.split("/")[3])
                raise UnprocessableError(
                    f"the audit knows nothing of {task}; is the id right, and whole, as `seamwork tasks` has it?"
                ) from error
            if error.code == _NOT_FOUND and said:
                raise UnprocessableError(said) from error
            raise MisconfiguredError(
                f"the audit-sink answered {error.code} to {path}: {said or 'see its log'}"
            ) from error
        except (OSError, HTTPException) as error:
            raise MisconfiguredError(
                f"the audit-sink does not answer ({' '.join(str(error).split())}); see `seamwork status`"
            ) from error


def _given_url(platform: str) -> str:
    url = os.environ.get(_URL, "").rstrip("/")
    if not url:
        raise MisconfiguredError(
            f"the audit-sink of platform {platform} runs elsewhere; set {_URL} to its pages, such as "
            "http://127.0.0.1:8080 after `kubectl port-forward audit-sink-0 8080`"
        )
    if not url.startswith(("http://", "https://")):
        raise MisconfiguredError(f"{_URL} is {url!r}, which is no address; write http://HOST:PORT")
    return url


def _sentence_of(error: urllib.error.HTTPError) -> str:
    """Return what the audit sink says of its refusal, or nothing where it says nothing."""
    try:
        said = json.loads(error.read())
    except (OSError, HTTPException, ValueError):
        return ""
    return str(said.get("error", "")) if isinstance(said, dict) else ""
