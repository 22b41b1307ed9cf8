-- What config-nodes keep in common. Times are milliseconds since the Unix epoch.

-- One row, for ever as it was first written.
CREATE TABLE cluster_facts (
    one        INTEGER PRIMARY KEY CHECK (one = 1),
    partitions INTEGER NOT NULL,
    hash       TEXT    NOT NULL
) STRICT;

-- Who is up: a row that is there is a lease that is held.
CREATE TABLE leases (
    name    TEXT    PRIMARY KEY,
    url     TEXT    NOT NULL,
    process TEXT    NOT NULL,
    renewed INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One row. Members are a JSON list of [name, url]; owners are two bytes a partition, big-endian: an index
-- of members, or 65535 for nobody.
CREATE TABLE partition_map (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    version INTEGER NOT NULL,
    members TEXT    NOT NULL,
    owners  BLOB    NOT NULL
) STRICT;

-- Rows are never deleted: without a value, nodes go by their own configuration again.
CREATE TABLE settings (
    name       TEXT    PRIMARY KEY,
    value      TEXT,
    version    INTEGER NOT NULL,
    changed_by TEXT    NOT NULL,
    changed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
