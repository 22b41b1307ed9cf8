-- Nodes that operators drain, up or not: they stay so until somebody undrains them.
CREATE TABLE drains (
    kind       TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    ordered_by TEXT    NOT NULL,
    ordered_at INTEGER NOT NULL,
    PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;
