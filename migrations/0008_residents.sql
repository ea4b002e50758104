-- Residents: addresses are sealed, and people have places with wishes.

-- `value` is sealed; `digest` finds it again. Rows of older versions are sealed when the store is opened next; until then their
-- digest is their value. Chunks name addresses by id, so planning reads the index alone, and a value stands in one row only.
-- A resident's addresses have no region of their own: their places do.
CREATE TABLE address_new (
    id         BIGINT PRIMARY KEY,
    subscriber BIGINT NOT NULL,
    audience   TEXT NOT NULL,
    channel    TEXT NOT NULL,
    language   TEXT NOT NULL,
    region     TEXT NOT NULL,
    value      TEXT NOT NULL,
    digest     TEXT NOT NULL,
    left_at    BIGINT,
    UNIQUE (audience, channel, digest)
);
INSERT INTO address_new (id, subscriber, audience, channel, language, region, value, digest, left_at)
    SELECT id, subscriber, audience, channel, language, region, value, value, left_at FROM address;
DROP TABLE address;
ALTER TABLE address_new RENAME TO address;
CREATE INDEX address_audience ON address (audience, channel, language, region, left_at, id);
CREATE INDEX address_subscriber ON address (subscriber, left_at, channel, id);
CREATE INDEX address_left ON address (left_at, id);
INSERT INTO counter (name, value) VALUES ('address_to_seal', 1);

-- Which key the store is sealed with: one row.
CREATE TABLE seal (
    mark TEXT PRIMARY KEY
);

-- A person who signed up themselves. `consent` names the text that they agreed to.
CREATE TABLE resident (
    subscriber   BIGINT PRIMARY KEY,
    language     TEXT NOT NULL,
    consent      TEXT NOT NULL,
    consent_at   BIGINT NOT NULL,
    paused_until BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX resident_paused ON resident (paused_until);

-- A place that somebody cares for. `hazards` has a bit for each kind of danger, `wishes` the rest; name and point are sealed.
CREATE TABLE place (
    id         BIGINT PRIMARY KEY,
    subscriber BIGINT NOT NULL,
    region     TEXT NOT NULL,
    hazards    BIGINT NOT NULL,
    wishes     BIGINT NOT NULL,
    name       TEXT NOT NULL,
    point      TEXT
);
CREATE INDEX place_match ON place (region, subscriber, id, hazards, wishes);
CREATE INDEX place_subscriber ON place (subscriber, id);

-- Which places a recipient of a chunk is told for: packed ids, in the order of the chunk's members.
CREATE TABLE chunk_why (
    chunk BIGINT PRIMARY KEY,
    body  BYTEA NOT NULL
);

-- People of a chunk who have other channels if this one fails or is not acknowledged: `body` holds what is left for each member,
-- `done` the members who were handed on.
CREATE TABLE ladder (
    chunk  BIGINT PRIMARY KEY,
    due_at BIGINT NOT NULL,
    body   BYTEA NOT NULL,
    done   BYTEA NOT NULL
);
CREATE INDEX ladder_due ON ladder (due_at);

-- What a device or browser said it has shown.
CREATE TABLE acknowledgement (
    release   BIGINT NOT NULL,
    recipient BIGINT NOT NULL,
    at        BIGINT NOT NULL,
    PRIMARY KEY (release, recipient)
);

-- An address that somebody says is theirs, until it is confirmed or thrown away. `body` (sealed) holds the address and what was
-- asked for; `digest` is the address's, `code` a keyed one.
CREATE TABLE sign_up (
    id         BIGINT PRIMARY KEY,
    token      TEXT NOT NULL UNIQUE,
    link       TEXT UNIQUE,
    code       TEXT,
    tries      BIGINT NOT NULL,
    body       TEXT NOT NULL,
    digest     TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX sign_up_created ON sign_up (created_at);
CREATE INDEX sign_up_digest ON sign_up (digest);

-- How often something was done since a time; names are keyed digests.
CREATE TABLE usage_count (
    name  TEXT PRIMARY KEY,
    since BIGINT NOT NULL,
    n     BIGINT NOT NULL
);
CREATE INDEX usage_since ON usage_count (since);

CREATE TABLE resident_session (
    digest     TEXT PRIMARY KEY,
    subscriber BIGINT NOT NULL,
    csrf       TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX resident_session_subscriber ON resident_session (subscriber);

-- Releases to one person alone: codes, links and tests. `digest` is the address's; they are thrown away after a day.
CREATE TABLE personal_release (
    release    BIGINT PRIMARY KEY,
    digest     TEXT NOT NULL,
    subscriber BIGINT NOT NULL,
    at         BIGINT NOT NULL
);
CREATE INDEX personal_release_at ON personal_release (at);
CREATE INDEX personal_release_subscriber ON personal_release (subscriber, release);
