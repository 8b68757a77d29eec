-- What the mark in the store is known by: every raise leaves a fresh nonce there, so that a mark which somebody else left is
-- told from ours whichever is ahead. nonce: the one last known to be in the store; pending_nonce: one that may be on its way
-- there; nonce_mark: the mark that the last of them was raised with, which a version without nonces leaves alone.
ALTER TABLE catalog_mark ADD COLUMN nonce TEXT;
ALTER TABLE catalog_mark ADD COLUMN pending_nonce TEXT;
ALTER TABLE catalog_mark ADD COLUMN nonce_mark BIGINT NOT NULL DEFAULT 0;
