-- Event chains: why an alert stands with another, what several alerts have in common, and what says the same again.

-- `references`: it names it. `incident`, `likeness`: no reference, and yet the same event. `place`: it takes its place without naming
-- it. Of these, the alert takes the other's place. `split`, `answer`, `ignored`: it names it and leaves it as it is.
ALTER TABLE alert_reference ADD COLUMN why TEXT NOT NULL DEFAULT 'references';

CREATE TABLE alert_incident (
    alert    TEXT NOT NULL,
    incident TEXT NOT NULL,
    PRIMARY KEY (alert, incident)
);
CREATE INDEX alert_incident_name ON alert_incident (incident);

-- The alert says what `repeats` said: who was told by that one is not told again.
CREATE TABLE alert_repeat (
    alert   TEXT PRIMARY KEY,
    repeats TEXT NOT NULL
);

-- Heads by bureau, for alerts that name nothing.
CREATE INDEX alert_in_force ON alert (bureau, hazard, superseded_by);
