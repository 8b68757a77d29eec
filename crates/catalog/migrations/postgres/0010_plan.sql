-- advice: what a plan says besides numbers, JSON: what to do with the file first, and why it is planned so.
-- sha256: what the client declared, as in resources; here so that an owner's unfinished uploads are found by it.
ALTER TABLE uploads ADD COLUMN advice TEXT;
ALTER TABLE uploads ADD COLUMN sha256 TEXT;
UPDATE uploads SET sha256 = (SELECT r.sha256 FROM resources r
    WHERE r.tenant_id = uploads.tenant_id AND r.resource_id = uploads.resource_id)
  WHERE state IN ('open', 'completing');
CREATE INDEX uploads_unfinished_by_hash ON uploads (sha256, owner_id)
  WHERE state = 'open' AND sha256 IS NOT NULL;

-- How many of its files a client had better have under way at once.
ALTER TABLE captures ADD COLUMN assets_at_once BIGINT;
