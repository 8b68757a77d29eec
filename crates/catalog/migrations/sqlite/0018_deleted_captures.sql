-- deleted_at: when its owner deleted the capture. It stays, as a tombstone that its reference stands for.
ALTER TABLE captures ADD COLUMN deleted_at INTEGER;

-- The captures that hold an asset. The condition is always true. The query made for this index repeats it, and no other one has it,
-- so that none takes it for the members of a capture.
CREATE INDEX capture_assets_by_asset ON capture_assets (tenant_id, asset_id) WHERE asset_id <> '';
