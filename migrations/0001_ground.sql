-- One SQL text for SQLite and PostgreSQL: ids and codes TEXT or BIGINT, times BIGINT milliseconds since 1970 UTC, blobs BYTEA,
-- structured values TEXT (JSON). Ids of rows come from `counter`, inside the transaction that uses them.

CREATE TABLE counter (
    name  TEXT PRIMARY KEY,
    value BIGINT NOT NULL
);

-- One CAP message as a bureau sent it. `id` is made of sender, identifier and sent, so a repeat finds its own row.
CREATE TABLE alert (
    id            TEXT PRIMARY KEY,
    sender        TEXT NOT NULL,
    identifier    TEXT NOT NULL,
    sent          BIGINT NOT NULL,
    msg_type      TEXT NOT NULL,
    status        TEXT NOT NULL,
    hazard        TEXT NOT NULL,
    severity      TEXT NOT NULL,
    headline      TEXT NOT NULL,
    expires       BIGINT,
    bureau        TEXT NOT NULL,
    received_at   BIGINT NOT NULL,
    format        TEXT NOT NULL,
    raw           BYTEA NOT NULL,
    verdict       TEXT NOT NULL,
    findings      TEXT NOT NULL,
    state         TEXT NOT NULL,
    located       TEXT,
    decision      TEXT,
    chain         TEXT NOT NULL,
    superseded_by TEXT
);
CREATE INDEX alert_state ON alert (state, received_at);
CREATE INDEX alert_received ON alert (received_at);
CREATE INDEX alert_chain ON alert (chain);

CREATE TABLE alert_reference (
    alert     TEXT NOT NULL,
    refers_to TEXT NOT NULL,
    PRIMARY KEY (alert, refers_to)
);
CREATE INDEX alert_reference_to ON alert_reference (refers_to);

-- What was sent to us and not taken, with the reason.
CREATE TABLE refusal (
    id       BIGINT PRIMARY KEY,
    at       BIGINT NOT NULL,
    bureau   TEXT NOT NULL,
    code     TEXT NOT NULL,
    findings TEXT NOT NULL,
    digest   TEXT NOT NULL,
    raw      BYTEA NOT NULL
);

-- A decision that may go out. `watermark` freezes the audience: addresses with a greater id came later.
CREATE TABLE release (
    id            BIGINT PRIMARY KEY,
    alert         TEXT NOT NULL UNIQUE,
    lane          BIGINT NOT NULL,
    audience      TEXT NOT NULL,
    regions       TEXT NOT NULL,
    channels      TEXT NOT NULL,
    signed_by     TEXT NOT NULL,
    created_at    BIGINT NOT NULL,
    expires       BIGINT NOT NULL,
    watermark     BIGINT NOT NULL,
    planned_at    BIGINT,
    superseded_at BIGINT
);
CREATE INDEX release_unplanned ON release (planned_at, lane, id);

-- One release on one channel in one language, in one variant.
CREATE TABLE dispatch (
    id       BIGINT PRIMARY KEY,
    release  BIGINT NOT NULL,
    channel  TEXT NOT NULL,
    language TEXT NOT NULL,
    variant  TEXT NOT NULL,
    content  TEXT NOT NULL,
    UNIQUE (release, channel, language, variant)
);

-- The only row that is ever claimed: a slice of a dispatch's recipients. `body` holds them packed, `finals` one byte each
-- once the chunk is done; the counts are of `finals`.
CREATE TABLE chunk (
    id         BIGINT PRIMARY KEY,
    dispatch   BIGINT NOT NULL,
    release    BIGINT NOT NULL,
    channel    TEXT NOT NULL,
    lane       BIGINT NOT NULL,
    n          BIGINT NOT NULL,
    body       BYTEA NOT NULL,
    state      BIGINT NOT NULL,
    not_before BIGINT NOT NULL,
    attempt    BIGINT NOT NULL,
    finals     BYTEA,
    accepted   BIGINT NOT NULL DEFAULT 0,
    failed     BIGINT NOT NULL DEFAULT 0,
    opted_out  BIGINT NOT NULL DEFAULT 0,
    expired    BIGINT NOT NULL DEFAULT 0,
    superseded BIGINT NOT NULL DEFAULT 0,
    unknown    BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX chunk_queue ON chunk (channel, state, lane, not_before, id);
CREATE INDEX chunk_release ON chunk (release, state);

-- The intent: these members of the chunk go to the provider next. Committed before the first byte leaves.
CREATE TABLE send_window (
    chunk   BIGINT NOT NULL,
    seq     BIGINT NOT NULL,
    members BYTEA NOT NULL,
    at      BIGINT NOT NULL,
    PRIMARY KEY (chunk, seq)
);

-- What became of a window: one class byte per member.
CREATE TABLE outcome (
    chunk   BIGINT NOT NULL,
    seq     BIGINT NOT NULL,
    classes BYTEA NOT NULL,
    detail  TEXT,
    at      BIGINT NOT NULL,
    PRIMARY KEY (chunk, seq)
);

-- A resident, device or organisation.
CREATE TABLE subscriber (
    id         BIGINT PRIMARY KEY,
    audience   TEXT NOT NULL,
    region     TEXT NOT NULL,
    language   TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX subscriber_region ON subscriber (audience, region);

-- One way to reach a subscriber; audience, region and language are the subscriber's, kept here so that planning reads one table.
-- An address that changes is a new row, so that a release's watermark keeps its meaning.
CREATE TABLE address (
    id         BIGINT PRIMARY KEY,
    subscriber BIGINT NOT NULL,
    audience   TEXT NOT NULL,
    channel    TEXT NOT NULL,
    language   TEXT NOT NULL,
    region     TEXT NOT NULL,
    value      TEXT NOT NULL,
    left_at    BIGINT,
    UNIQUE (audience, channel, value)
);
CREATE INDEX address_audience ON address (audience, channel, language, region, id);
CREATE INDEX address_subscriber ON address (subscriber);
