-- look_at: when the janitor next looks at this upload, whatever its state; NULL when nothing more is to come of it.
-- looks: how often it has looked since a URL was signed or the state changed.
ALTER TABLE uploads ADD COLUMN look_at INTEGER;
ALTER TABLE uploads ADD COLUMN looks INTEGER NOT NULL DEFAULT 0;
UPDATE uploads SET look_at = CASE
    WHEN state = 'open' THEN CASE WHEN signed_until > 0 THEN MIN(signed_until, expires_at) ELSE expires_at END
    WHEN state = 'completing' THEN intent_at
    ELSE signed_until END
  WHERE state IN ('open', 'completing') OR (state IN ('aborted', 'expired') AND cleared_at IS NULL);
-- Tenant first: each in its turn is found by a step along the index, however much another has waiting.
CREATE INDEX uploads_due ON uploads (tenant_id, look_at) WHERE look_at IS NOT NULL;

-- What a key stands for: asked by events of the store, and by the sweep, which compares lists with rows in the
-- order of keys. What is gone has no place in it.
CREATE INDEX uploads_by_key ON uploads (object_key);
CREATE INDEX append_segments_by_key ON append_segments (object_key);
CREATE INDEX blobs_by_key ON blobs (object_key) WHERE state <> 'gone';
CREATE INDEX renditions_by_key ON renditions (object_key) WHERE object_key IS NOT NULL;

-- When the store last told of what happens to it, by the way its events come ('http' or 'embedded').
CREATE TABLE store_events (
  way TEXT NOT NULL,
  last_at INTEGER NOT NULL,
  PRIMARY KEY (way)
) STRICT, WITHOUT ROWID;

-- How far the comparison of store and catalog is. number: which one it is; phase and cursor: what comes next;
-- ended_at: NULL while it is under way. One row, named 'store'.
CREATE TABLE sweeps (
  name TEXT NOT NULL,
  number INTEGER NOT NULL,
  phase TEXT NOT NULL,
  cursor TEXT NOT NULL,
  version INTEGER NOT NULL,
  examined INTEGER NOT NULL,
  began_at INTEGER NOT NULL,
  ended_at INTEGER,
  PRIMARY KEY (name)
) STRICT, WITHOUT ROWID;

-- What a sweep found on one side only. tenant_id is that of the key, whether or not there is such a tenant.
-- sweep: the number of the last sweep that found it so.
CREATE TABLE sweep_findings (
  tenant_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  object_key TEXT NOT NULL,
  store_upload_id TEXT NOT NULL,
  size_bytes INTEGER,
  modified_at INTEGER,
  first_seen_at INTEGER NOT NULL,
  last_seen_at INTEGER NOT NULL,
  sweep INTEGER NOT NULL,
  kept_because TEXT,
  PRIMARY KEY (tenant_id, kind, object_key, store_upload_id)
) STRICT, WITHOUT ROWID;

-- The mark that this catalog also leaves in the store: the store's being ahead tells that the catalog was restored
-- from an older copy. doubt: why nothing is removed until an operator confirms. One row, named 'catalog'.
CREATE TABLE catalog_mark (
  name TEXT NOT NULL,
  catalog_id TEXT NOT NULL,
  mark INTEGER NOT NULL,
  marked_at INTEGER NOT NULL,
  doubt TEXT,
  PRIMARY KEY (name)
) STRICT, WITHOUT ROWID;
