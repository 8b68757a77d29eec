-- What a picture measures, on its lightness at the size of display; NULL where nothing was measured. sharpness: the variance of its
-- Laplacian in thousandths of that of its lightness; mean_luma: 0 to 255; dark_permille, bright_permille: thousandths of its pixels that are
-- black or white, or nearly.
ALTER TABLE blobs ADD COLUMN sharpness INTEGER;
ALTER TABLE blobs ADD COLUMN mean_luma INTEGER;
ALTER TABLE blobs ADD COLUMN dark_permille INTEGER;
ALTER TABLE blobs ADD COLUMN bright_permille INTEGER;

-- scores_sought_at: when a picture was measured, or inspected by a version whose renditions are measured; NULL where nobody will without
-- being asked. Only those are in the index, so it empties as they are looked at.
ALTER TABLE blobs ADD COLUMN scores_sought_at INTEGER;
CREATE INDEX blobs_unscored ON blobs (tenant_id, blob_id)
  WHERE scores_sought_at IS NULL AND state = 'live' AND verdict = 'clean' AND width IS NOT NULL;

-- best_asset_id: the best frame as it was last told of.
ALTER TABLE captures ADD COLUMN best_asset_id TEXT;
