-- picture_hash: 64 bits that pictures share which look nearly alike; NULL where there is none: too plain, cannot be decoded, or
-- inspected before there were any.
ALTER TABLE blobs ADD COLUMN picture_hash INTEGER;

-- The picture hashes of an owner's assets, to find near ones by a quarter of the hash. A row goes with its asset; one of a
-- tombstone means nothing.
CREATE TABLE asset_hashes (
  tenant_id TEXT NOT NULL,
  asset_id TEXT NOT NULL,
  owner_id TEXT NOT NULL,
  picture_hash INTEGER NOT NULL,
  quarter_0 INTEGER GENERATED ALWAYS AS (picture_hash & 65535) VIRTUAL,
  quarter_1 INTEGER GENERATED ALWAYS AS ((picture_hash >> 16) & 65535) VIRTUAL,
  quarter_2 INTEGER GENERATED ALWAYS AS ((picture_hash >> 32) & 65535) VIRTUAL,
  quarter_3 INTEGER GENERATED ALWAYS AS ((picture_hash >> 48) & 65535) VIRTUAL,
  PRIMARY KEY (tenant_id, asset_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX asset_hashes_by_0 ON asset_hashes (tenant_id, owner_id, quarter_0, asset_id);
CREATE INDEX asset_hashes_by_1 ON asset_hashes (tenant_id, owner_id, quarter_1, asset_id);
CREATE INDEX asset_hashes_by_2 ON asset_hashes (tenant_id, owner_id, quarter_2, asset_id);
CREATE INDEX asset_hashes_by_3 ON asset_hashes (tenant_id, owner_id, quarter_3, asset_id);
