-- How far an upload that is appended to has come. The row comes with the first request that appends.
-- epoch: raised by every request that takes the upload; what reports with an older one changes nothing.
-- offset_bytes: what is durable: parts and live segments hold exactly so many bytes.
-- next_part: all part numbers below it were given out, once each; the store may have bytes under any of them.
CREATE TABLE appends (
  tenant_id TEXT NOT NULL,
  upload_id TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  offset_bytes INTEGER NOT NULL,
  next_part INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, upload_id)
) STRICT, WITHOUT ROWID;

-- Its parts in the store, from the file's beginning on without a gap.
CREATE TABLE append_parts (
  tenant_id TEXT NOT NULL,
  upload_id TEXT NOT NULL,
  number INTEGER NOT NULL,
  offset_bytes INTEGER NOT NULL,
  size_bytes INTEGER NOT NULL,
  etag TEXT NOT NULL,
  PRIMARY KEY (tenant_id, upload_id, number)
) STRICT, WITHOUT ROWID;

-- What is shorter than a part waits in temporary objects. state: writing (the object may be there), live (its bytes
-- are acknowledged), doomed (to be removed, not before removable_at: until then it may still be written).
CREATE TABLE append_segments (
  tenant_id TEXT NOT NULL,
  upload_id TEXT NOT NULL,
  object_key TEXT NOT NULL,
  offset_bytes INTEGER NOT NULL,
  size_bytes INTEGER NOT NULL,
  etag TEXT,
  state TEXT NOT NULL,
  removable_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, upload_id, object_key)
) STRICT, WITHOUT ROWID;
CREATE INDEX append_segments_doomed ON append_segments (removable_at) WHERE state = 'doomed';
