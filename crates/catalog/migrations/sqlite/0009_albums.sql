-- What the owner says of an asset. revision: raised by each change of it; version stays that of the state.
-- captured_offset_minutes: the offset from UTC of the clock that told captured_at, where it is known.
ALTER TABLE assets ADD COLUMN title TEXT;
ALTER TABLE assets ADD COLUMN captured_at INTEGER;
ALTER TABLE assets ADD COLUMN captured_offset_minutes INTEGER;
ALTER TABLE assets ADD COLUMN latitude_e7 INTEGER;
ALTER TABLE assets ADD COLUMN longitude_e7 INTEGER;
ALTER TABLE assets ADD COLUMN altitude_mm INTEGER;
ALTER TABLE assets ADD COLUMN visibility TEXT NOT NULL DEFAULT 'private';
ALTER TABLE assets ADD COLUMN revision INTEGER NOT NULL DEFAULT 1;
UPDATE assets SET captured_at = (SELECT c.captured_at FROM captures c
    WHERE c.tenant_id = assets.tenant_id AND c.capture_id = assets.capture_id)
  WHERE state <> 'deleted';

-- taken_at: by what assets are ordered: when it was taken, where that is known, else when it was initiated.
ALTER TABLE assets ADD COLUMN taken_at INTEGER GENERATED ALWAYS AS (COALESCE(captured_at, created_at)) VIRTUAL;
CREATE INDEX assets_by_time ON assets (tenant_id, owner_id, taken_at, asset_id);

-- The tags of assets. taken_at is the asset's, here and below, so that a page is found in its place.
CREATE TABLE asset_tags (
  tenant_id TEXT NOT NULL,
  owner_id TEXT NOT NULL,
  tag TEXT NOT NULL,
  asset_id TEXT NOT NULL,
  taken_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, owner_id, tag, asset_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX asset_tags_by_time ON asset_tags (tenant_id, owner_id, tag, taken_at, asset_id);
CREATE INDEX asset_tags_by_asset ON asset_tags (tenant_id, asset_id, tag);

-- An owner's groups of assets.
CREATE TABLE albums (
  tenant_id TEXT NOT NULL,
  album_id TEXT NOT NULL,
  owner_id TEXT NOT NULL,
  title TEXT NOT NULL,
  revision INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, album_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX albums_by_owner ON albums (tenant_id, owner_id, album_id);

-- Which assets are in which albums: live assets of the album's owner. Who adds one holds the rows of both.
CREATE TABLE album_assets (
  tenant_id TEXT NOT NULL,
  album_id TEXT NOT NULL,
  asset_id TEXT NOT NULL,
  taken_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, album_id, asset_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX album_assets_by_time ON album_assets (tenant_id, album_id, taken_at, asset_id);
CREATE INDEX album_assets_by_asset ON album_assets (tenant_id, asset_id, album_id);

-- An asset has one primary resource. Unique, so that SQLite, which knows nothing of how many rows there are, finds an asset's
-- by it and does not go through all resources of the tenant.
CREATE UNIQUE INDEX resources_primary ON resources (tenant_id, asset_id) WHERE kind = 'primary';
