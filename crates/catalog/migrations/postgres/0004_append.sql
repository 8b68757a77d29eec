-- How far an upload that is appended to has come. The row comes with the first request that appends.
-- epoch: raised by every request that takes the upload; what reports with an older one changes nothing.
-- offset_bytes: what is durable: parts and live segments hold exactly so many bytes.
-- next_part: all part numbers below it were given out, once each; the store may have bytes under any of them.
CREATE TABLE appends (
  tenant_id TEXT COLLATE "C" NOT NULL,
  upload_id TEXT COLLATE "C" NOT NULL,
  epoch BIGINT NOT NULL,
  offset_bytes BIGINT NOT NULL,
  next_part BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, upload_id)
);

-- Its parts in the store, from the file's beginning on without a gap.
CREATE TABLE append_parts (
  tenant_id TEXT COLLATE "C" NOT NULL,
  upload_id TEXT COLLATE "C" NOT NULL,
  number BIGINT NOT NULL,
  offset_bytes BIGINT NOT NULL,
  size_bytes BIGINT NOT NULL,
  etag TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant_id, upload_id, number)
);

-- What is shorter than a part waits in temporary objects. state: writing (the object may be there), live (its bytes
-- are acknowledged), doomed (to be removed, not before removable_at: until then it may still be written).
CREATE TABLE append_segments (
  tenant_id TEXT COLLATE "C" NOT NULL,
  upload_id TEXT COLLATE "C" NOT NULL,
  object_key TEXT COLLATE "C" NOT NULL,
  offset_bytes BIGINT NOT NULL,
  size_bytes BIGINT NOT NULL,
  etag TEXT COLLATE "C",
  state TEXT COLLATE "C" NOT NULL,
  removable_at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, upload_id, object_key)
);
CREATE INDEX append_segments_doomed ON append_segments (removable_at) WHERE state = 'doomed';
