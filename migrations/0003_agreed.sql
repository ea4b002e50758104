-- The grave settings that are in force: sealed, so that nobody can write them who has the store alone. The newest row holds.
CREATE TABLE agreed (
    id         BIGINT PRIMARY KEY,
    body       BYTEA NOT NULL,
    by_officer BIGINT NOT NULL,
    at         BIGINT NOT NULL
);
