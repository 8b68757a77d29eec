-- avif_sought_at: when the AVIF of these bytes' renditions was last sought, whatever came of it; NULL where nobody did: inspected
-- before there was any, or a moment ago. Only those are in the index, so it empties as they are made.
ALTER TABLE blobs ADD COLUMN avif_sought_at BIGINT;
CREATE INDEX blobs_without_avif ON blobs (tenant_id, blob_id)
  WHERE avif_sought_at IS NULL AND state = 'live' AND verdict = 'clean' AND reason_code IS NULL AND width IS NOT NULL;
