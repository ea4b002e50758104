-- What could not be published, what waits for a link, and limits on what grows.

-- In which order the press made publications: what could not be published at first comes after younger ones, and whoever reads along
-- must not miss it.
ALTER TABLE publication ADD COLUMN printed BIGINT NOT NULL DEFAULT 0;
UPDATE publication SET printed = release;
INSERT INTO counter (name, value) SELECT 'printed', COALESCE(MAX(value), 0) FROM counter WHERE name = 'release';
CREATE INDEX publication_printed ON publication (printed);

-- Releases that went out and could not be published yet, each with why, until it is published.
CREATE TABLE unpublished (
    release BIGINT PRIMARY KEY,
    since   BIGINT NOT NULL,
    tries   BIGINT NOT NULL,
    next_at BIGINT NOT NULL,
    why     TEXT NOT NULL
);

-- Messages of a subscription that only lead to an alert, while what they lead to does not answer.
CREATE TABLE notice (
    source  TEXT NOT NULL,
    digest  TEXT NOT NULL,
    payload BYTEA NOT NULL,
    tries   BIGINT NOT NULL,
    since   BIGINT NOT NULL,
    next_at BIGINT NOT NULL,
    PRIMARY KEY (source, digest)
);

-- Each bureau's refusals are bounded, the oldest go first.
CREATE INDEX refusal_bureau ON refusal (bureau, id);
CREATE INDEX refusal_at ON refusal (at);
