-- The number of the outbox entry that tells of a device's log-out: who asks for what came after the last
-- one learns of every log-out, in one question. Earlier log-outs have none, and are no news to anybody.
ALTER TABLE devices ADD COLUMN revocation INTEGER;

CREATE UNIQUE INDEX devices_by_revocation ON devices (revocation) WHERE revocation IS NOT NULL;
