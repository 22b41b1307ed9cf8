-- The feature level of the cluster: a version that knows less takes no part.
ALTER TABLE cluster_facts ADD COLUMN level INTEGER NOT NULL DEFAULT 1;

-- One row: which log the cluster uses, as its nodes call it.
CREATE TABLE cluster_log (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    name TEXT    NOT NULL
) STRICT;
