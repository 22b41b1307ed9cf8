-- Ids are 64-bit Snowflakes below 2^63, times are milliseconds since the Unix epoch.

CREATE EXTENSION IF NOT EXISTS pg_trgm;

CREATE TABLE users (
    id            BIGINT PRIMARY KEY,
    user_name     TEXT   NOT NULL UNIQUE,
    display_name  TEXT   NOT NULL,
    password_hash TEXT   NOT NULL,
    created       BIGINT NOT NULL
);

-- Parts of names, by trigrams. Written by the engine, not by a trigger: it holds the names in lower
-- case, and only the engine knows which lower case is meant.
CREATE TABLE user_names (
    rowid        BIGINT PRIMARY KEY REFERENCES users (id),
    user_name    TEXT   NOT NULL,
    display_name TEXT   NOT NULL
);

CREATE INDEX user_names_by_parts ON user_names USING gin (user_name gin_trgm_ops, display_name gin_trgm_ops);

CREATE TABLE devices (
    id         BIGINT PRIMARY KEY,
    user_id    BIGINT NOT NULL REFERENCES users (id),
    name       TEXT   NOT NULL,
    created    BIGINT NOT NULL,
    last_seen  BIGINT NOT NULL,
    revoked    BIGINT,
    -- The number of the outbox entry that tells of its log-out.
    revocation BIGINT
);

CREATE INDEX devices_of_user ON devices (user_id, id) WHERE revoked IS NULL;
CREATE UNIQUE INDEX devices_by_revocation ON devices (revocation) WHERE revocation IS NOT NULL;

CREATE TABLE refresh_tokens (
    hash      BYTEA  PRIMARY KEY,
    device_id BIGINT NOT NULL REFERENCES devices (id),
    expires   BIGINT NOT NULL,
    used      BIGINT NOT NULL DEFAULT 0
);

CREATE INDEX refresh_tokens_of_device ON refresh_tokens (device_id, expires);

CREATE TABLE outbox (
    number      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream_kind BIGINT NOT NULL,
    stream_id   BIGINT NOT NULL,
    event       BYTEA  NOT NULL
);

CREATE TABLE reservations (
    number         BIGINT PRIMARY KEY,
    holder         TEXT   NOT NULL,
    reserved_from  BIGINT NOT NULL,
    reserved_until BIGINT NOT NULL
);

CREATE TABLE signing_keys (
    kid     TEXT   PRIMARY KEY,
    secret  BYTEA  NOT NULL,
    created BIGINT NOT NULL
);
