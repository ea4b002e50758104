-- What the picture in a release's mails shows: regions and level. It is drawn when mails are about to leave.

ALTER TABLE release ADD COLUMN scene TEXT;

-- Chunks that nobody works on: what the janitor looks through.
CREATE INDEX chunk_open ON chunk (release, state) WHERE state IN (0, 3);

-- Heads by bureau and sender, for alerts that name nothing: one sender's, without a look at the alerts themselves.
DROP INDEX alert_in_force;
CREATE INDEX alert_in_force ON alert (bureau, sender, hazard, superseded_by, status, msg_type, expires, sent);

-- What officers have stopped just now.
CREATE INDEX release_held ON release (held_at) WHERE held_at IS NOT NULL;

-- An alert's bytes lie apart from what is asked about it: whoever looks at its event does not read through megabytes.
CREATE TABLE alert_raw (
    alert TEXT PRIMARY KEY,
    raw   BYTEA NOT NULL
);
INSERT INTO alert_raw (alert, raw) SELECT id, raw FROM alert;
ALTER TABLE alert DROP COLUMN raw;
