-- merged_into: the asset that had an upload's bytes before they were all here. Such an upload is 'aborted' besides: what
-- had arrived of it is removed in the same way, and a version that does not know of this column has its client initiate anew,
-- which is told of that asset.
ALTER TABLE uploads ADD COLUMN merged_into TEXT;

-- duplicates: 'keep' where bytes that the owner has already become an asset of their own; NULL: they become the one that he has.
ALTER TABLE captures ADD COLUMN duplicates TEXT;

-- owner_id: whose file it is, where its blob is shared by the owners of a tenant (scope ''): so that one owner's is found
-- among everybody's.
ALTER TABLE resources ADD COLUMN owner_id TEXT;
CREATE INDEX resources_by_sharer ON resources (tenant_id, blob_id, owner_id, asset_id)
  WHERE owner_id IS NOT NULL AND blob_id IS NOT NULL;
