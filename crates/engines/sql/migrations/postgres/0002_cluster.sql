-- What config-nodes keep in common. Times are milliseconds since the Unix epoch.

-- One row, for ever as it was first written.
CREATE TABLE cluster_facts (
    one        BIGINT PRIMARY KEY CHECK (one = 1),
    partitions BIGINT NOT NULL,
    hash       TEXT   NOT NULL
);

-- Who is up: a row that is there is a lease that is held.
CREATE TABLE leases (
    name    TEXT   PRIMARY KEY,
    url     TEXT   NOT NULL,
    process TEXT   NOT NULL,
    renewed BIGINT NOT NULL
);

-- One row. Members are a JSON list of [name, url]; owners are two bytes a partition, big-endian: an index
-- of members, or 65535 for nobody.
CREATE TABLE partition_map (
    one     BIGINT PRIMARY KEY CHECK (one = 1),
    version BIGINT NOT NULL,
    members TEXT   NOT NULL,
    owners  BYTEA  NOT NULL
);

-- Rows are never deleted: without a value, nodes go by their own configuration again.
CREATE TABLE settings (
    name       TEXT   PRIMARY KEY,
    value      TEXT,
    version    BIGINT NOT NULL,
    changed_by TEXT   NOT NULL,
    changed_at BIGINT NOT NULL
);
