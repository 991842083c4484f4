"""What waits is kept in a file, and what ails the file is told as what it is."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import cast

import pytest

from seamwork.bus.port import Partition
from seamwork.errors import MisconfiguredError, RetryableError
from seamwork_notifier.state import Notified
from seamwork_notifier.store import Store, Waiting

AT = Partition("decisions.v1", 0)


def notified(number: int) -> Notified:
    """Return a notification."""
    return Notified(
        id=f"n-{number}",
        owner="team:seams",
        kind="refused",
        at=1_000,
        topic=AT.topic,
        partition=0,
        offset=number,
    )


async def test_what_is_tried_again_waits_behind_what_is_due(tmp_path: Path) -> None:
    """Each try is counted, and puts it off; what is put off for all of an owner is put off no further back."""
    one, two = notified(1), notified(2)
    with Store(tmp_path / "n.db", "p", 0) as store:
        await store.take([one, two], {AT: 2}, 1_000)
        await store.again(one.id, 5_000, "it answered 503")
        await store.again(one.id, 7_000, "it answered 503")
        assert Waiting(two, 1_000, 0, 1_000) == store.next_of("team:seams")

        await store.put_off("team:seams", 6_000)
        assert Waiting(two, 1_000, 0, 6_000) == store.next_of("team:seams")
        await store.done(two.id, "delivered", 6_500)
        assert Waiting(one, 1_000, 2, 7_000) == store.next_of("team:seams")
        assert {"team:seams": 1} == store.owners()


DAY_MS = 86_400_000


@pytest.mark.parametrize(("opened_at", "since"), [(9 * DAY_MS, 8 * DAY_MS), (1_000, DAY_MS)])
async def test_nothing_waits_for_the_time_in_which_nobody_could_try(
    tmp_path: Path, opened_at: int, since: int
) -> None:
    """A process that was down for a week goes on where it was; a clock that was set back takes nothing away."""
    path = tmp_path / "n.db"
    with Store(path, "p", 0) as store:
        await store.take([notified(1)], {AT: 1}, DAY_MS)
        await store.note_use(2 * DAY_MS)
    for _ in range(2):
        with Store(path, "p", opened_at) as store:
            assert Waiting(notified(1), since, 0, DAY_MS) == store.next_of("team:seams")


async def test_what_cannot_be_kept_whole_is_not_kept_in_part(tmp_path: Path) -> None:
    """A position without what was read up to it would be a notification lost."""
    with Store(tmp_path / "n.db", "p", 0) as store:
        with pytest.raises(sqlite3.IntegrityError):
            await store.take(
                [notified(1)], {AT: 1}, 1_000, burned={("facts", "late", 0): cast("int", "many")}
            )

        assert ({}, {}) == (store.positions(), store.owners())


async def test_what_was_taken_last_is_known_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not all that ever was: what is published again lies close behind."""
    monkeypatch.setattr("seamwork_notifier.store._MOST_TAKEN", 2)
    with Store(tmp_path / "n.db", "p", 0) as store:
        for number, digest in enumerate("abac"):
            await store.take((), {AT: number}, 1_000, taken=[digest])
        await store.take((), {AT: 9}, 1_000)
    with Store(tmp_path / "n.db", "p", 0) as store:
        assert [False, True, True] == [store.was_taken(digest) for digest in "abc"]


async def test_a_database_that_another_holds_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody looks at it, or copies it: the next start may find it free, and so there must be one."""
    path = tmp_path / "n.db"
    monkeypatch.setattr("seamwork_notifier.store._LOCK_S", 0.05)
    with Store(path, "p", 0) as store, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(RetryableError, match=r"n\.db cannot be used just now \(database is locked\)"):
            await store.take((), {AT: 1}, 0)
        with pytest.raises(RetryableError, match=r"n\.db cannot be opened just now \(database is locked\)"):
            Store(path, "p", 0)
        other.execute("ROLLBACK")
        await store.take((), {AT: 2}, 0)

        assert {AT: 2} == store.positions()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    """It is not overwritten."""
    path = tmp_path / "n.db"
    path.write_bytes(b"not a database" * 100)

    with pytest.raises(MisconfiguredError, match=r"cannot be used as a database.*restore or remove it"):
        Store(path, "p", 0)


def test_a_folder_that_cannot_be_is_named_by_its_variable(tmp_path: Path) -> None:
    """Starting again would not make it."""
    (tmp_path / "file").touch()

    with pytest.raises(MisconfiguredError, match="SEAMWORK_NOTIFIER_DATABASE names cannot be made"):
        Store(tmp_path / "file" / "n.db", "p", 0)


def test_the_database_of_another_platform_is_refused(tmp_path: Path) -> None:
    """Two platforms would tell each other's owners."""
    with Store(tmp_path / "n.db", "p", 0):
        pass

    with pytest.raises(MisconfiguredError, match="holds the notifications of another platform"):
        Store(tmp_path / "n.db", "other", 0)
