-- position: the place of an event in its tenant's order, given after its commit by one sequencer at a time. NULL until
-- then. Whoever has seen a position never finds an event at a lower one later.
-- arrival: only for the sequencer, to order what it finds waiting.
CREATE TABLE events_with_positions (
  arrival INTEGER PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  event_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  owner_id TEXT NOT NULL,
  capture_id TEXT,
  asset_id TEXT,
  detail TEXT,
  at INTEGER NOT NULL,
  position INTEGER,
  UNIQUE (tenant_id, event_id)
) STRICT;
INSERT INTO events_with_positions (tenant_id, event_id, kind, owner_id, capture_id, asset_id, detail, at)
  SELECT tenant_id, event_id, kind, owner_id, capture_id, asset_id, detail, at FROM events ORDER BY at, event_id;
DROP TABLE events;
ALTER TABLE events_with_positions RENAME TO events;
CREATE INDEX events_unsequenced ON events (arrival) WHERE position IS NULL;
CREATE UNIQUE INDEX events_by_position ON events (tenant_id, position) WHERE position IS NOT NULL;
CREATE INDEX events_by_owner ON events (tenant_id, owner_id, position) WHERE position IS NOT NULL;

-- The newest position of each tenant, and the newest that was forgotten with its retention over.
CREATE TABLE event_heads (
  tenant_id TEXT NOT NULL,
  position INTEGER NOT NULL,
  pruned INTEGER NOT NULL,
  PRIMARY KEY (tenant_id)
) STRICT, WITHOUT ROWID;
