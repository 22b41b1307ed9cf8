-- Leases and maps for each kind of node ('messaging', 'history'). A member has a weight, 1 to 100, and a state:
-- 'serving', or 'draining' if it is about to leave.
CREATE TABLE leases_of_kinds (
    kind    TEXT    NOT NULL,
    name    TEXT    NOT NULL,
    url     TEXT    NOT NULL,
    weight  INTEGER NOT NULL,
    state   TEXT    NOT NULL,
    process TEXT    NOT NULL,
    renewed INTEGER NOT NULL,
    PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;

INSERT INTO leases_of_kinds SELECT 'messaging', name, url, 1, 'serving', process, renewed FROM leases;

DROP TABLE leases;

ALTER TABLE leases_of_kinds RENAME TO leases;

-- Members are a JSON list of [name, url, weight, state], before this version of [name, url]; owners as before.
CREATE TABLE partition_maps (
    kind    TEXT    PRIMARY KEY,
    version INTEGER NOT NULL,
    members TEXT    NOT NULL,
    owners  BLOB    NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO partition_maps SELECT 'messaging', version, members, owners FROM partition_map;

DROP TABLE partition_map;
