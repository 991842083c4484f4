"""Say what the database holds; a change of it is a new version and a migration."""

VERSION = 2

PAGE_BYTES = 16_384
"""Of a new file; an older one keeps what it was made with. A body fills fewer pages, and each costs a call."""

MIGRATIONS: dict[int, str] = {1: "DROP INDEX records_by_crossing;"}
"""By version, what makes of its layout the next one's; each is done in one transaction as the file is opened."""

SCHEMA = """
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- One row a record; leaf is its place in the tree, from 0, in the order of taking in.
CREATE TABLE records (
    leaf INTEGER PRIMARY KEY,
    topic TEXT NOT NULL,
    "partition" INTEGER NOT NULL,
    "offset" INTEGER NOT NULL,
    appended_at INTEGER NOT NULL,
    key BLOB,
    type TEXT NOT NULL,
    task TEXT,
    crossing TEXT,
    dispatch TEXT,
    root INTEGER NOT NULL,
    digest TEXT,
    rule TEXT,
    reason TEXT,
    headers BLOB NOT NULL,
    headers_sha256 TEXT NOT NULL,
    envelope TEXT,
    value BLOB,
    value_bytes INTEGER,
    value_sha256 TEXT NOT NULL,
    UNIQUE (topic, "partition", "offset")
);
CREATE INDEX records_by_task ON records (task) WHERE task IS NOT NULL;
CREATE INDEX roots ON records (leaf) WHERE root = 1;
CREATE INDEX roots_by_task ON records (task, leaf) WHERE root = 1;
CREATE INDEX endings ON records (task) WHERE type = 'task-ended';

-- The next offset of every partition that is read.
CREATE TABLE positions (
    topic TEXT NOT NULL,
    "partition" INTEGER NOT NULL,
    next INTEGER NOT NULL,
    PRIMARY KEY (topic, "partition")
) WITHOUT ROWID;

-- What an operator agreed to go on without.
CREATE TABLE gaps (
    topic TEXT NOT NULL,
    "partition" INTEGER NOT NULL,
    first INTEGER NOT NULL,
    next INTEGER NOT NULL,
    noted_at INTEGER NOT NULL
);

CREATE TABLE counts (
    what TEXT NOT NULL,
    name TEXT NOT NULL,
    detail TEXT NOT NULL,
    records INTEGER NOT NULL,
    PRIMARY KEY (what, name, detail)
) WITHOUT ROWID;

-- The frontier of the tree, and the heads that were published of it.
CREATE TABLE tree (one INTEGER PRIMARY KEY CHECK (one = 1), size INTEGER NOT NULL, peaks BLOB NOT NULL);
CREATE TABLE heads (size INTEGER PRIMARY KEY, root_sha256 TEXT NOT NULL, signed_at INTEGER NOT NULL);

INSERT INTO tree VALUES (1, 0, x'');
"""

ADDED = "CREATE INDEX IF NOT EXISTS breaker_moves ON records (leaf) WHERE type = 'breaker-moved'"
"""What came later and changes nothing of what is there: made whenever the database is opened."""
