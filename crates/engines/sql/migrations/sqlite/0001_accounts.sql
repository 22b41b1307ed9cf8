-- Ids are 64-bit Snowflakes below 2^63, times are milliseconds since the Unix epoch.

CREATE TABLE users (
    id            INTEGER PRIMARY KEY,
    user_name     TEXT    NOT NULL UNIQUE,
    display_name  TEXT    NOT NULL,
    password_hash TEXT    NOT NULL,
    created       INTEGER NOT NULL
) STRICT;

-- Parts of names, by trigrams. Written by the engine, not by a trigger: it holds the names in lower
-- case, and only the engine knows which lower case is meant.
CREATE VIRTUAL TABLE user_names USING fts5 (
    user_name, display_name,
    tokenize = 'trigram case_sensitive 1', content = '', contentless_delete = 1
);

CREATE TABLE devices (
    id        INTEGER PRIMARY KEY,
    user_id   INTEGER NOT NULL REFERENCES users (id),
    name      TEXT    NOT NULL,
    created   INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    revoked   INTEGER
) STRICT;

CREATE INDEX devices_of_user ON devices (user_id, id) WHERE revoked IS NULL;

CREATE TABLE refresh_tokens (
    hash      BLOB    PRIMARY KEY,
    device_id INTEGER NOT NULL REFERENCES devices (id),
    expires   INTEGER NOT NULL,
    used      INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE INDEX refresh_tokens_of_device ON refresh_tokens (device_id, expires);

-- AUTOINCREMENT: a number is never used again, so that `number > after` skips nothing.
CREATE TABLE outbox (
    number      INTEGER PRIMARY KEY AUTOINCREMENT,
    stream_kind INTEGER NOT NULL,
    stream_id   INTEGER NOT NULL,
    event       BLOB    NOT NULL
) STRICT;

CREATE TABLE reservations (
    number         INTEGER PRIMARY KEY,
    holder         TEXT    NOT NULL,
    reserved_from  INTEGER NOT NULL,
    reserved_until INTEGER NOT NULL
) STRICT;

CREATE TABLE signing_keys (
    kid     TEXT    PRIMARY KEY,
    secret  BLOB    NOT NULL,
    created INTEGER NOT NULL
) STRICT;
