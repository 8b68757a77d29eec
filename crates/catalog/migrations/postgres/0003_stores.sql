-- Object stores that were probed: what each can do (JSON), so that every process of a deployment plans alike.
-- A store serves all tenants, so this row has none; a catalog that is split by tenant has one in each part.
CREATE TABLE stores (
  store_url TEXT COLLATE "C" NOT NULL,
  capabilities TEXT NOT NULL,
  probed_at BIGINT NOT NULL,
  PRIMARY KEY (store_url)
);

-- Whether parts carry checksums ('sha256' or 'none'), as the store was told when the upload was begun there: it
-- must not change while parts arrive, whatever is found out about the store meanwhile. NULL before that, and where
-- a version began it that did not write it: then parts carry a hash where the file's was declared.
ALTER TABLE uploads ADD COLUMN part_checksum TEXT;
