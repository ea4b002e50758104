-- Officers: who they are, what waits for them, whom they called, what they did.

-- An alert may be released in parts, each jurisdiction for its own people; a correction, a repeat to those missed and a call to
-- officers are releases too. `name` makes each release happen once. `within` names the counties whose people it may tell; all
-- where NULL. `held_at`: no window opens until it is lifted.
CREATE TABLE release_new (
    id            BIGINT PRIMARY KEY,
    name          TEXT NOT NULL UNIQUE,
    kind          TEXT NOT NULL,
    alert         TEXT NOT NULL,
    jurisdiction  TEXT,
    lane          BIGINT NOT NULL,
    audience      TEXT NOT NULL,
    regions       TEXT NOT NULL,
    within        TEXT,
    channels      TEXT NOT NULL,
    origin        BIGINT,
    signed_by     TEXT NOT NULL,
    created_at    BIGINT NOT NULL,
    expires       BIGINT NOT NULL,
    watermark     BIGINT NOT NULL,
    planned_at    BIGINT,
    superseded_at BIGINT,
    held_at       BIGINT
);
INSERT INTO release_new (id, name, kind, alert, lane, audience, regions, channels, signed_by, created_at, expires, watermark, planned_at, superseded_at)
    SELECT id, 'alert/' || alert, 'alert', alert, lane, audience, regions, channels, signed_by, created_at, expires, watermark, planned_at, superseded_at FROM release;
DROP TABLE release;
ALTER TABLE release_new RENAME TO release;
CREATE INDEX release_unplanned ON release (planned_at, lane, id);
CREATE INDEX release_alert ON release (alert);

-- Part of an alert that waits, or waited, for the officers of one jurisdiction. `body` is the whole state machine (JSON).
CREATE TABLE escalation (
    id           BIGINT PRIMARY KEY,
    alert        TEXT NOT NULL,
    world        TEXT NOT NULL,
    jurisdiction TEXT NOT NULL,
    state        TEXT NOT NULL,
    lane         BIGINT NOT NULL,
    body         TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    due_at       BIGINT,
    closed_at    BIGINT
);
CREATE INDEX escalation_queue ON escalation (world, state, lane, due_at);
CREATE INDEX escalation_due ON escalation (due_at);
CREATE INDEX escalation_alert ON escalation (alert);

-- An officer. `password` is an argon2 hash; `totp` is sealed; `totp_step` is the last step used, so that no code works twice.
CREATE TABLE officer (
    id           BIGINT PRIMARY KEY,
    login        TEXT NOT NULL UNIQUE,
    name         TEXT NOT NULL,
    language     TEXT NOT NULL,
    password     TEXT,
    totp         BYTEA,
    totp_step    BIGINT NOT NULL,
    subject      TEXT UNIQUE,
    state        TEXT NOT NULL,
    failures     BIGINT NOT NULL,
    locked_until BIGINT NOT NULL,
    created_at   BIGINT NOT NULL
);
CREATE TABLE officer_grant (
    officer BIGINT NOT NULL,
    role    TEXT NOT NULL,
    region  TEXT NOT NULL,
    PRIMARY KEY (officer, role, region)
);
CREATE TABLE officer_address (
    id      BIGINT PRIMARY KEY,
    officer BIGINT NOT NULL,
    channel TEXT NOT NULL,
    value   TEXT NOT NULL,
    UNIQUE (officer, channel, value)
);
CREATE TABLE passkey (
    id         TEXT PRIMARY KEY,
    officer    BIGINT NOT NULL,
    name       TEXT NOT NULL,
    body       TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

-- Sessions, invitations and API tokens are kept as SHA-256 of what their owner holds.
CREATE TABLE session (
    digest     TEXT PRIMARY KEY,
    officer    BIGINT NOT NULL,
    csrf       TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    seen_at    BIGINT NOT NULL,
    proved_at  BIGINT NOT NULL,
    failures   BIGINT NOT NULL
);
CREATE INDEX session_officer ON session (officer);
CREATE TABLE invitation (
    digest     TEXT PRIMARY KEY,
    officer    BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE TABLE api_token (
    digest     TEXT PRIMARY KEY,
    officer    BIGINT NOT NULL,
    name       TEXT NOT NULL,
    scopes     TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);

-- A grave setting that a second administrator has to agree to.
CREATE TABLE proposal (
    id         BIGINT PRIMARY KEY,
    kind       TEXT NOT NULL,
    body       TEXT NOT NULL,
    by_officer BIGINT NOT NULL,
    at         BIGINT NOT NULL,
    state      TEXT NOT NULL,
    decided_by BIGINT,
    decided_at BIGINT
);

-- Who is on duty: officers take turns in this order; an override stands in for a time.
CREATE TABLE rotation (
    id           BIGINT PRIMARY KEY,
    jurisdiction TEXT NOT NULL,
    position     TEXT NOT NULL,
    officers     TEXT NOT NULL,
    days         BIGINT NOT NULL,
    starts_at    BIGINT NOT NULL,
    UNIQUE (jurisdiction, position)
);
CREATE TABLE duty_override (
    id           BIGINT PRIMARY KEY,
    jurisdiction TEXT NOT NULL,
    position     TEXT NOT NULL,
    officer      BIGINT NOT NULL,
    from_at      BIGINT NOT NULL,
    to_at        BIGINT NOT NULL
);

-- What an officer writes before it is submitted.
CREATE TABLE draft (
    id         BIGINT PRIMARY KEY,
    world      TEXT NOT NULL,
    author     BIGINT NOT NULL,
    region     TEXT NOT NULL,
    shared     BIGINT NOT NULL,
    title      TEXT NOT NULL,
    body       TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    alert      TEXT
);
CREATE INDEX draft_author ON draft (world, author);

-- The record: every act, view of personal data and machine decision. Each line's hash covers the line before it.
CREATE TABLE record (
    seq     BIGINT PRIMARY KEY,
    at      BIGINT NOT NULL,
    actor   TEXT NOT NULL,
    kind    TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail  TEXT NOT NULL,
    hash    TEXT NOT NULL
);
CREATE INDEX record_subject ON record (subject, seq);
CREATE INDEX record_at ON record (at);
