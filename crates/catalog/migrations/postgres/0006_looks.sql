-- look_at: when the janitor next looks at this upload, whatever its state; NULL when nothing more is to come of it.
-- looks: how often it has looked since a URL was signed or the state changed.
ALTER TABLE uploads ADD COLUMN look_at BIGINT;
ALTER TABLE uploads ADD COLUMN looks BIGINT NOT NULL DEFAULT 0;
UPDATE uploads SET look_at = CASE
    WHEN state = 'open' THEN CASE WHEN signed_until > 0 THEN LEAST(signed_until, expires_at) ELSE expires_at END
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
-- The column has the database's collation. To change that would change the results of statements that a version beside this
-- one has prepared, and they would fail.
CREATE INDEX renditions_by_key ON renditions (object_key COLLATE "C") WHERE object_key IS NOT NULL;

-- When the store last told of what happens to it, by the way its events come ('http' or 'embedded').
CREATE TABLE store_events (
  way TEXT COLLATE "C" NOT NULL,
  last_at BIGINT NOT NULL,
  PRIMARY KEY (way)
);

-- How far the comparison of store and catalog is. number: which one it is; phase and cursor: what comes next;
-- ended_at: NULL while it is under way. One row, named 'store'.
CREATE TABLE sweeps (
  name TEXT COLLATE "C" NOT NULL,
  number BIGINT NOT NULL,
  phase TEXT NOT NULL,
  cursor TEXT NOT NULL,
  version BIGINT NOT NULL,
  examined BIGINT NOT NULL,
  began_at BIGINT NOT NULL,
  ended_at BIGINT,
  PRIMARY KEY (name)
);

-- What a sweep found on one side only. tenant_id is that of the key, whether or not there is such a tenant.
-- sweep: the number of the last sweep that found it so.
CREATE TABLE sweep_findings (
  tenant_id TEXT COLLATE "C" NOT NULL,
  kind TEXT COLLATE "C" NOT NULL,
  object_key TEXT COLLATE "C" NOT NULL,
  store_upload_id TEXT COLLATE "C" NOT NULL,
  size_bytes BIGINT,
  modified_at BIGINT,
  first_seen_at BIGINT NOT NULL,
  last_seen_at BIGINT NOT NULL,
  sweep BIGINT NOT NULL,
  kept_because TEXT,
  PRIMARY KEY (tenant_id, kind, object_key, store_upload_id)
);

-- The mark that this catalog also leaves in the store: the store's being ahead tells that the catalog was restored
-- from an older copy. doubt: why nothing is removed until an operator confirms. One row, named 'catalog'.
CREATE TABLE catalog_mark (
  name TEXT COLLATE "C" NOT NULL,
  catalog_id TEXT NOT NULL,
  mark BIGINT NOT NULL,
  marked_at BIGINT NOT NULL,
  doubt TEXT,
  PRIMARY KEY (name)
);
