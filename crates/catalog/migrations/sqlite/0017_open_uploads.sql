-- The open uploads of an owner, counted and summed along the index alone: so it has the state that its condition says, too. The
-- condition is written as no other question writes it, so that none takes this index for one of its own, nor this one theirs.
CREATE INDEX uploads_open_by_owner ON uploads (tenant_id, owner_id, size_bytes, state) WHERE state || '' = 'open';

-- hash_sought_at: when a picture hash was last looked for in these bytes, whether or not there is one; NULL where nobody did:
-- inspected before there were any. Only those are in the index, so it empties as they are looked at.
ALTER TABLE blobs ADD COLUMN hash_sought_at INTEGER;
CREATE INDEX blobs_unhashed ON blobs (tenant_id, blob_id)
  WHERE hash_sought_at IS NULL AND picture_hash IS NULL AND state = 'live' AND verdict = 'clean' AND width IS NOT NULL;
