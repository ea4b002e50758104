-- What went out to the public, as machines and people outside may read it. `cap` is what stands at the permanent id, for good.
CREATE TABLE publication (
    release BIGINT PRIMARY KEY,
    id      TEXT NOT NULL UNIQUE,
    alert   TEXT NOT NULL,
    at      BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    body    TEXT NOT NULL,
    cap     BYTEA NOT NULL
);
CREATE INDEX publication_alert ON publication (alert);
CREATE INDEX publication_expires ON publication (expires);

-- Who reads along: the press, each webhook, WIS2. `seen` is the last release that it has taken into its own hands.
CREATE TABLE outlet (
    name TEXT PRIMARY KEY,
    seen BIGINT NOT NULL
);

-- One publication that an outlet has to hand on; the row stays as the log of it.
CREATE TABLE errand (
    outlet   TEXT NOT NULL,
    release  BIGINT NOT NULL,
    state    TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    next_at  BIGINT NOT NULL,
    changed  BIGINT NOT NULL,
    detail   TEXT,
    PRIMARY KEY (outlet, release)
);
CREATE INDEX errand_due ON errand (outlet, state, next_at);
