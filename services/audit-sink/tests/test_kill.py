"""A process that is killed at any instant leaves whole batches behind."""

import subprocess
import sys
from pathlib import Path

from seamwork_audit_sink.archive import Archive
from seamwork_audit_sink.merkle import leaf_hash, root_of
from seamwork_audit_sink.rows import entry_of

WRITER = """
import sys
from pathlib import Path
from seamwork.bus.port import Partition
from seamwork.records.wire import RawRecord
from seamwork_audit_sink.store import Store

store = Store(Path(sys.argv[1]), "p", "log-1")
places = [Partition("a.v1", 0), Partition("a.v1", 1)]
positions = store.take_over("any")
if not positions:
    store.watch(dict.fromkeys(places, 0), 1)
    positions = dict.fromkeys(places, 0)
while True:
    runs = [[RawRecord(*at, n, n, b"k", b"x" * 500) for n in range(to, to + 50)] for at, to in positions.items()]
    store.append(runs, 1_000)
    positions = {at: next + 50 for at, next in positions.items()}
    print(store.tree.size, flush=True)
"""


def test_a_killed_writer_leaves_whole_batches(database: Path) -> None:
    """Both partitions stand at the same batch, no offset is missing or double, and the tree fits the rows."""
    said = 0
    for lines in (1, 7, 18):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(database)], stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout is not None
            for _ in range(lines):
                said = int(writer.stdout.readline())
            writer.kill()

    archive = Archive(database)
    rows = list(archive.rows())
    offsets = {number: [row.offset for row in rows if row.partition == number] for number in (0, 1)}
    _, tree = archive.tree()

    assert said <= len(rows) == tree.size
    assert list(range(len(rows) // 2)) == offsets[0] == offsets[1]
    assert {("a.v1", 0): len(rows) // 2, ("a.v1", 1): len(rows) // 2} == archive.positions()
    assert tree.root == root_of([leaf_hash(entry_of(row)) for row in rows])
