-- Assets that were deleted: ids and times, for as long as their tombstones are. completed_at: when nothing of their bytes was left.
-- look_at: when the janitor next looks whether that is so; NULL when it is.
CREATE TABLE deletions (
  tenant_id TEXT COLLATE "C" NOT NULL,
  asset_id TEXT COLLATE "C" NOT NULL,
  owner_id TEXT COLLATE "C" NOT NULL,
  deleted_at BIGINT NOT NULL,
  completed_at BIGINT,
  look_at BIGINT,
  PRIMARY KEY (tenant_id, asset_id)
);
CREATE INDEX deletions_due ON deletions (look_at) WHERE look_at IS NOT NULL;

-- The doomed blobs that a deletion waits for.
CREATE TABLE deletion_blobs (
  tenant_id TEXT COLLATE "C" NOT NULL,
  blob_id TEXT COLLATE "C" NOT NULL,
  asset_id TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant_id, blob_id, asset_id)
);
CREATE INDEX deletion_blobs_by_asset ON deletion_blobs (tenant_id, asset_id);

-- What became this asset: it goes with it.
CREATE INDEX assets_merged ON assets (tenant_id, merged_into) WHERE merged_into IS NOT NULL;
