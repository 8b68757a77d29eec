-- Assets that were deleted: ids and times, for as long as their tombstones are. completed_at: when nothing of their bytes was left.
-- look_at: when the janitor next looks whether that is so; NULL when it is.
CREATE TABLE deletions (
  tenant_id TEXT NOT NULL,
  asset_id TEXT NOT NULL,
  owner_id TEXT NOT NULL,
  deleted_at INTEGER NOT NULL,
  completed_at INTEGER,
  look_at INTEGER,
  PRIMARY KEY (tenant_id, asset_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX deletions_due ON deletions (look_at) WHERE look_at IS NOT NULL;

-- The doomed blobs that a deletion waits for.
CREATE TABLE deletion_blobs (
  tenant_id TEXT NOT NULL,
  blob_id TEXT NOT NULL,
  asset_id TEXT NOT NULL,
  PRIMARY KEY (tenant_id, blob_id, asset_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX deletion_blobs_by_asset ON deletion_blobs (tenant_id, asset_id);

-- What became this asset: it goes with it.
CREATE INDEX assets_merged ON assets (tenant_id, merged_into) WHERE merged_into IS NOT NULL;
