-- picture_hash: 64 bits that pictures share which look nearly alike; NULL where there is none: too plain, cannot be decoded, or
-- inspected before there were any.
ALTER TABLE blobs ADD COLUMN picture_hash BIGINT;

-- The picture hashes of an owner's assets, to find near ones by a quarter of the hash. A row goes with its asset; one of a
-- tombstone means nothing.
CREATE TABLE asset_hashes (
  tenant_id TEXT COLLATE "C" NOT NULL,
  asset_id TEXT COLLATE "C" NOT NULL,
  owner_id TEXT COLLATE "C" NOT NULL,
  picture_hash BIGINT NOT NULL,
  quarter_0 BIGINT GENERATED ALWAYS AS (picture_hash & 65535) STORED,
  quarter_1 BIGINT GENERATED ALWAYS AS ((picture_hash >> 16) & 65535) STORED,
  quarter_2 BIGINT GENERATED ALWAYS AS ((picture_hash >> 32) & 65535) STORED,
  quarter_3 BIGINT GENERATED ALWAYS AS ((picture_hash >> 48) & 65535) STORED,
  PRIMARY KEY (tenant_id, asset_id)
);
CREATE INDEX asset_hashes_by_0 ON asset_hashes (tenant_id, owner_id, quarter_0, asset_id);
CREATE INDEX asset_hashes_by_1 ON asset_hashes (tenant_id, owner_id, quarter_1, asset_id);
CREATE INDEX asset_hashes_by_2 ON asset_hashes (tenant_id, owner_id, quarter_2, asset_id);
CREATE INDEX asset_hashes_by_3 ON asset_hashes (tenant_id, owner_id, quarter_3, asset_id);
