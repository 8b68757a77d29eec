-- What a blob's bytes tell of how, when and where they were taken, as JSON. harmless: what every policy keeps; private: the rest,
-- NULL where there is none or its tenant's policy does not keep it. A row goes with its blob's bytes.
CREATE TABLE blob_metadata (
  tenant_id TEXT COLLATE "C" NOT NULL,
  blob_id TEXT COLLATE "C" NOT NULL,
  harmless TEXT NOT NULL,
  private TEXT,
  read_at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, blob_id)
);
-- To find what a policy no longer keeps.
CREATE INDEX blob_metadata_private ON blob_metadata (tenant_id, blob_id) WHERE private IS NOT NULL;

-- metadata_sought_at: when metadata was last looked for in these bytes, whether or not there is any; NULL where nobody did:
-- inspected before it was read. Only those are in the index, so it empties as they are looked at.
ALTER TABLE blobs ADD COLUMN metadata_sought_at BIGINT;
CREATE INDEX blobs_unread ON blobs (tenant_id, blob_id)
  WHERE metadata_sought_at IS NULL AND state = 'live' AND verdict = 'clean' AND mime IS NOT NULL;
