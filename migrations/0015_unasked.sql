-- What is sent to addresses that nobody has confirmed: bounded for each, and ended by its owner's word.

-- `digest`: the address's keyed digest, mailboxes folded. `n`: messages since its owner last confirmed one, the last at `last_at`; the next
-- may follow `pause` later. `refused_at`: its owner wants none any more.
CREATE TABLE unasked (
    digest     TEXT PRIMARY KEY,
    n          BIGINT NOT NULL,
    last_at    BIGINT NOT NULL,
    pause      BIGINT NOT NULL,
    refused_at BIGINT
);
CREATE INDEX unasked_last ON unasked (last_at) WHERE refused_at IS NULL;
