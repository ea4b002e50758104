-- Residents' browsers: what they have done with a message, and whether their subscriptions live.

-- `at` is when a message was shown. Whoever opened it, or said that they are safe, has seen it.
ALTER TABLE acknowledgement ADD COLUMN opened_at BIGINT;
ALTER TABLE acknowledgement ADD COLUMN safe_at BIGINT;

-- `check_at`: when the push service is asked next whether it knows the subscription. `gone_at`: since when it does not; `left_at` is
-- set with it. `told_at`: when its owner was told of that, or nobody could be.
ALTER TABLE address ADD COLUMN check_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE address ADD COLUMN gone_at BIGINT;
ALTER TABLE address ADD COLUMN told_at BIGINT;
CREATE INDEX address_check ON address (check_at) WHERE channel = 'push' AND left_at IS NULL;
CREATE INDEX address_gone ON address (gone_at) WHERE gone_at IS NOT NULL;
CREATE INDEX address_untold ON address (gone_at) WHERE gone_at IS NOT NULL AND told_at IS NULL;
