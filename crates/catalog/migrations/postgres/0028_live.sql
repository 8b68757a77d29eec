-- live_key, live_half: by what the still and the clip of a Live Photo are joined, and which of both this is (still, motion); NULL where a
-- file names none. The key is a digest of what the file says.
ALTER TABLE blobs ADD COLUMN live_key TEXT;
ALTER TABLE blobs ADD COLUMN live_half TEXT;

-- The halves that an owner's assets are, to find the other one. A row goes with its asset.
CREATE TABLE live_halves (
  tenant_id TEXT COLLATE "C" NOT NULL,
  asset_id TEXT COLLATE "C" NOT NULL,
  owner_id TEXT COLLATE "C" NOT NULL,
  live_key TEXT COLLATE "C" NOT NULL,
  half TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant_id, asset_id)
);
CREATE INDEX live_halves_by_key ON live_halves (tenant_id, owner_id, live_key, half, asset_id);
