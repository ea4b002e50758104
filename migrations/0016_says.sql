-- Whether an alert says that its event is over, and what it says in short (SHA-256, hex): looked at with each alert that follows, for which
-- its bytes would be read again. NULL in rows from before.
ALTER TABLE alert ADD COLUMN ends BIGINT;
ALTER TABLE alert ADD COLUMN says TEXT;
