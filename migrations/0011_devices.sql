-- Organisations, and what stands outdoors: sirens, loudspeakers, signs.

-- A school, a port, a haulier. `regions` (JSON) bound what its contacts, webhooks and broker account get; `lowest` is the level.
CREATE TABLE organisation (
    code       TEXT PRIMARY KEY,
    name       TEXT NOT NULL,
    kind       TEXT NOT NULL,
    regions    TEXT NOT NULL,
    lowest     TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

-- Somebody who is told for an organisation: a resident (addresses, places, consent) with a name (sealed) and a duty. `source` is the
-- SHA-256 of the file that they came in, `entered_by` who brought it.
CREATE TABLE contact (
    subscriber   BIGINT PRIMARY KEY,
    organisation TEXT NOT NULL,
    name         TEXT NOT NULL,
    duty         TEXT NOT NULL,
    source       TEXT NOT NULL,
    entered_by   TEXT NOT NULL
);
CREATE INDEX contact_organisation ON contact (organisation, subscriber);

-- A webhook of an organisation; address and secret are sealed.
CREATE TABLE organisation_hook (
    organisation TEXT NOT NULL,
    name         TEXT NOT NULL,
    url          TEXT NOT NULL,
    secret       TEXT NOT NULL,
    PRIMARY KEY (organisation, name)
);

-- An account at the MQTT broker: `org.CODE` or `dev.ID`; `hash` as mosquitto writes it. Its rights follow from whose it is.
CREATE TABLE broker_account (
    name TEXT PRIMARY KEY,
    hash TEXT NOT NULL
);

-- A device: a subscriber with one place, told by MQTT. What it says of itself is the newest word.
CREATE TABLE device (
    id           TEXT PRIMARY KEY,
    subscriber   BIGINT NOT NULL UNIQUE,
    kind         TEXT NOT NULL,
    name         TEXT NOT NULL,
    region       TEXT NOT NULL,
    organisation TEXT,
    drills       BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    seen_at      BIGINT,
    offline_at   BIGINT,
    battery      BIGINT,
    firmware     TEXT,
    refused      BIGINT NOT NULL DEFAULT 0,
    problem      TEXT
);
CREATE INDEX device_region ON device (region, id);

-- Regions in which so many devices are silent that somebody was called.
CREATE TABLE device_alarm (
    region TEXT PRIMARY KEY,
    since  BIGINT NOT NULL
);
