-- Sources: what we know of each, and of the entries that it shows. A restart reads nothing as new that was there before.

CREATE TABLE source (
    name          TEXT PRIMARY KEY,
    kind          TEXT NOT NULL,
    -- What the next conditional request says.
    etag          TEXT,
    modified      TEXT,
    -- The feed's own time, so that an older copy is known as one.
    stamp         BIGINT,
    tried_at      BIGINT,
    good_at       BIGINT,
    next_at       BIGINT,
    failing_since BIGINT,
    failures      BIGINT NOT NULL,
    -- Why it fails, and what was noticed the last time it did not (JSON).
    problem       TEXT,
    findings      TEXT NOT NULL,
    entries       BIGINT NOT NULL,
    taken         BIGINT NOT NULL,
    refused       BIGINT NOT NULL
);

-- `alerts`: ids of what it held, apart by spaces. `missed`: how many whole and healthy answers in a row did not list it.
CREATE TABLE source_entry (
    source     TEXT NOT NULL,
    entry      TEXT NOT NULL,
    stamp      TEXT NOT NULL,
    etag       TEXT,
    modified   TEXT,
    digest     TEXT NOT NULL,
    state      TEXT NOT NULL,
    problem    TEXT,
    alerts     TEXT NOT NULL,
    missed     BIGINT NOT NULL,
    tries      BIGINT NOT NULL,
    seen_at    BIGINT NOT NULL,
    fetched_at BIGINT NOT NULL,
    next_at    BIGINT NOT NULL,
    -- What was agreed on with the bureau when it was handed in (SHA-256): what was refused is tried again when that changes.
    agreed     TEXT NOT NULL,
    PRIMARY KEY (source, entry)
);
