-- What is overdue stands before what still has time.

ALTER TABLE escalation ADD COLUMN overdue BIGINT NOT NULL DEFAULT 0;
DROP INDEX escalation_queue;
CREATE INDEX escalation_queue ON escalation (world, state, lane, overdue DESC, due_at);
