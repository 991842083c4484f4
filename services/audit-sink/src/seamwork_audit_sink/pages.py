"""
Answer questions over HTTP, as JSON and read-only.

| page | answer |
|---|---|
| ``/v1/tasks?limit=&state=&since=&quiet_since=&refused=1&owner=`` | ``[TaskLine, …]``, the newest first |
| ``/v1/tasks/ID/trace`` | ``Trace`` |
| ``/v1/tasks/ID/blame`` | ``Blame`` |
| ``/v1/tasks/ID/records?limit=&after=`` | ``{"task", "records": […], "next"}``, masked, in the order of taking in |
| ``/v1/breakers`` | ``[BreakerLine, …]``: the breakers that are not closed |
| ``/v1/seams`` | ``Measured``: each seam in counts and percentiles, and when last proven |
| ``/v1/flows/NAME`` | ``FlowReport``: what each step of a flow refused, or would have, with masked examples |
| ``/v1/summary`` | ``Summary`` |
| ``/v1/positions`` | ``{"topic/partition": next offset}``: what lies before is kept |
| ``/v1/tree`` | ``{"log", "size", "root_sha256"}`` |

Pages of tasks wait for what lay in the topics when they were asked for, a second at most: who has just had an
answer, and asks what became of it, is told. The structs are those of ``seamwork.platform.views``,
``seamwork.seams.measured`` and ``seamwork.seams.steps``. A page of records ends where *limit* says, or after some
8 MiB of them; ``next`` says behind which one to go on, and is null behind the last. What is not found or asked for
wrongly is answered with
``{"error": sentence}``.
"""

from collections.abc import Callable, Mapping
from sqlite3 import OperationalError
from threading import Lock
from typing import Any

import msgspec

from seamwork.catalog import Catalog
from seamwork.clock import Clock, SystemClock
from seamwork.platform.views import Blame, Trace
from seamwork.runtime import Request, Response
from seamwork_audit_sink.archive import Archive
from seamwork_audit_sink.queries import Queries, Wanted
from seamwork_audit_sink.shown import shown
from seamwork_audit_sink.tasks import STATES

PREFIX = "/v1"
_MOST_TASKS = 1_000
_MOST_RECORDS = 500
_MOST_DIGITS = 32
_TASK_PARTS = 3  # tasks, the id, the page


class _AskedError(Exception):
    """The question cannot be answered as it was put; becomes a page of its own."""

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status = status


class Pages:
    """
    The pages of this service.

    Args:
        archive: What is read.
        catalog: The documents by which payloads are masked; null before they are known, and then all is hidden.
        clock: Says what is in force now.
        catch_up: Waits a moment until what crossed before now is kept, called before tasks are looked at.
    """

    def __init__(
        self,
        archive: Archive,
        catalog: Callable[[], Catalog | None],
        clock: Clock | None = None,
        catch_up: Callable[[], None] | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._archive = archive
        self._queries = Queries(archive)
        self._catalog = catalog
        self._catch_up = catch_up
        # A large task takes a good part of the memory while it is drawn and written; whoever asks meanwhile waits.
        self._drawing = Lock()

    def __call__(self, request: Request) -> Response:
        """Answer one request; runs on a thread of its own."""
        if not self._archive.exists:
            return _page(
                {"error": "nothing is recorded yet; the sink has not begun"}, "503 Service Unavailable"
            )
        try:
            answer = self._answer(_parts(request.path), request.query)
        except _AskedError as error:
            return _page({"error": str(error)}, error.status)
        except OperationalError as error:
            # At the very first start the file is there before what is in it; a lock passes as well.
            reason = f"the database cannot be read just now ({error}); ask again in a moment"
            return _page({"error": reason}, "503 Service Unavailable")
        return _page(answer)

    def _answer(self, parts: tuple[str, ...], query: Mapping[str, str]) -> Any:
        if parts[0] == "tasks" and self._catch_up is not None:
            self._catch_up()
        match parts:
            case ("tasks",):
                limit = _number(query, "limit", 20, _MOST_TASKS)
                return self._queries.tasks(limit, _wanted(query), self._catalog())
            case ("breakers",):
                return self._queries.breakers()
            case ("seams",):
                return self._queries.seams()
            case ("flows", name):
                return self._flow(name)
            case ("summary",):
                return self._queries.summary()
            case ("positions",):
                return {f"{topic}/{number}": at for (topic, number), at in self._archive.positions().items()}
            case ("tree",):
                log_id, tree = self._archive.tree()
                return {"log": log_id, "size": tree.size, "root_sha256": tree.root.hex()}
            case ("tasks", _, "trace" | "blame" | "records" as page):
                return self._of_task(parts[1], page, query)
        raise _AskedError("404 Not Found", "there is no such page; see the service's README")

    def _of_task(self, task: str, page: str, query: Mapping[str, str]) -> Any:
        found: Any
        match page:
            case "trace":
                found = self._drawn(self._queries.trace, task)
            case "blame":
                found = self._drawn(self._queries.blame, task)
            case _:
                found = self._records(task, query)
        if found is None:
            raise _AskedError(
                "404 Not Found", "nothing of this task was recorded; look for it with /v1/tasks"
            )
        return found

    def _drawn(
        self, question: Callable[[str, Catalog | None], Trace | Blame | None], task: str
    ) -> msgspec.Raw | None:
        with self._drawing:
            found = question(task, self._catalog())
            return None if found is None else msgspec.Raw(msgspec.json.encode(found))

    def _flow(self, name: str) -> Any:
        catalog = self._catalog()
        if catalog is None:
            raise _AskedError(
                "503 Service Unavailable", "the documents are not known yet; ask again in a moment"
            )
        found = self._queries.flow(name, catalog, self._clock.now_ms())
        if found is None:
            raise _AskedError("404 Not Found", "no flow of this name is published; see `seamwork publish`")
        return found

    def _records(self, task: str, query: Mapping[str, str]) -> Any:
        limit = _number(query, "limit", 100, _MOST_RECORDS)
        after = _number(query, "after", -1, 1 << 62)
        rows, more = self._archive.task_records(task, limit, after)
        if not rows and after < 0 and limit:
            return None
        catalog = self._catalog()
        return {
            "task": task,
            # One is written before the next is read: what is parsed of a body takes several times its room.
            "records": [msgspec.Raw(msgspec.json.encode(shown(leaf, row, catalog))) for leaf, row in rows],
            "next": more,
        }


def _parts(path: str) -> tuple[str, ...]:
    """Split a path; a task's id may hold slashes, and WSGI hands paths on as Latin-1."""
    text = path.encode("latin-1", "replace").decode("utf-8", "replace")
    parts = text.removeprefix(PREFIX).strip("/").split("/")
    if len(parts) > _TASK_PARTS:
        return (parts[0], "/".join(parts[1:-1]), parts[-1])
    return tuple(parts)


def _wanted(query: Mapping[str, str]) -> Wanted:
    state = query.get("state") or None
    if state is not None and state not in STATES:
        raise _AskedError("400 Bad Request", f"a state is one of {', '.join(STATES)}")
    return Wanted(
        state=state,
        since=_instant(query, "since"),
        quiet_since=_instant(query, "quiet_since"),
        refused=bool(_number(query, "refused", 0, 1)),
        owner=query.get("owner") or None,
    )


def _instant(query: Mapping[str, str], name: str) -> int | None:
    return _number(query, name, 0, 1 << 62) if query.get(name) else None


def _number(query: Mapping[str, str], name: str, default: int, most: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    # Python refuses to read some thousands of digits, with an error of its own.
    short = text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS
    if not short or int(text) > most:
        raise _AskedError("400 Bad Request", f"{name} is a whole number from 0 to {most}")
    return int(text)


def _page(answer: Any, status: str = "200 OK") -> Response:
    return Response(msgspec.json.encode(answer) + b"\n", status)
