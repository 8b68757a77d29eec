-- An app using the service.
CREATE TABLE tenants (
  tenant_id TEXT NOT NULL,
  name TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id)
) STRICT, WITHOUT ROWID;

-- API keys: only a hash of the secret is kept.
CREATE TABLE api_keys (
  tenant_id TEXT NOT NULL,
  key_id TEXT NOT NULL,
  secret_hash TEXT NOT NULL,
  label TEXT NOT NULL,
  scopes TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  revoked_at INTEGER,
  PRIMARY KEY (tenant_id, key_id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX api_keys_by_secret ON api_keys (secret_hash);

-- One act of the shutter. device, network and battery are JSON, for segmentation.
CREATE TABLE captures (
  tenant_id TEXT NOT NULL,
  capture_id TEXT NOT NULL,
  owner_id TEXT NOT NULL,
  client_ref TEXT NOT NULL,
  mode TEXT NOT NULL,
  purpose TEXT,
  captured_at INTEGER,
  device TEXT,
  network TEXT,
  battery TEXT,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, capture_id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX captures_by_reference ON captures (tenant_id, owner_id, client_ref);

-- Which assets a capture holds. An asset that the owner had already joins later captures too.
CREATE TABLE capture_assets (
  tenant_id TEXT NOT NULL,
  capture_id TEXT NOT NULL,
  position INTEGER NOT NULL,
  client_ref TEXT NOT NULL,
  role TEXT NOT NULL,
  asset_id TEXT NOT NULL,
  PRIMARY KEY (tenant_id, capture_id, position)
) STRICT, WITHOUT ROWID;

-- What a user sees; one lifecycle state, changed only by compare-and-set on version.
CREATE TABLE assets (
  tenant_id TEXT NOT NULL,
  asset_id TEXT NOT NULL,
  owner_id TEXT NOT NULL,
  capture_id TEXT NOT NULL,
  public_id TEXT NOT NULL,
  state TEXT NOT NULL,
  reason_code TEXT,
  reason_detail TEXT,
  version INTEGER NOT NULL,
  preview TEXT,
  created_at INTEGER NOT NULL,
  uploaded_at INTEGER,
  viewable_at INTEGER,
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, asset_id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX assets_by_public_id ON assets (public_id);
CREATE INDEX assets_by_owner ON assets (tenant_id, owner_id, asset_id);

-- One file of an asset. blob_id is set once its bytes are whole in the store.
CREATE TABLE resources (
  tenant_id TEXT NOT NULL,
  resource_id TEXT NOT NULL,
  asset_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  filename TEXT,
  mime TEXT,
  size_bytes INTEGER NOT NULL,
  sha256 TEXT,
  blob_id TEXT,
  PRIMARY KEY (tenant_id, resource_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX resources_by_asset ON resources (tenant_id, asset_id);
CREATE INDEX resources_by_blob ON resources (tenant_id, blob_id, asset_id) WHERE blob_id IS NOT NULL;

-- The transfer of one resource. signed_until: until then bytes may still arrive.
-- intent is the part list (JSON) that a completion goes by; committed before the store is asked.
CREATE TABLE uploads (
  tenant_id TEXT NOT NULL,
  upload_id TEXT NOT NULL,
  owner_id TEXT NOT NULL,
  asset_id TEXT NOT NULL,
  resource_id TEXT NOT NULL,
  object_key TEXT NOT NULL,
  store_upload_id TEXT,
  transport TEXT NOT NULL,
  part_size_bytes INTEGER NOT NULL,
  concurrency INTEGER NOT NULL,
  send_order INTEGER NOT NULL,
  size_bytes INTEGER NOT NULL,
  state TEXT NOT NULL,
  version INTEGER NOT NULL,
  intent TEXT,
  intent_at INTEGER,
  signed_until INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  cleared_at INTEGER,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, upload_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX uploads_by_asset ON uploads (tenant_id, asset_id);
CREATE INDEX uploads_open ON uploads (expires_at) WHERE state = 'open';
CREATE INDEX uploads_completing ON uploads (intent_at) WHERE state = 'completing';
CREATE INDEX uploads_uncleared ON uploads (signed_until) WHERE state IN ('aborted', 'expired') AND cleared_at IS NULL;

-- Stored bytes under an immutable key. sha256 is set once it is verified.
CREATE TABLE blobs (
  tenant_id TEXT NOT NULL,
  blob_id TEXT NOT NULL,
  scope TEXT NOT NULL,
  object_key TEXT NOT NULL,
  etag TEXT NOT NULL,
  size_bytes INTEGER NOT NULL,
  sha256 TEXT,
  state TEXT NOT NULL,
  verdict TEXT NOT NULL,
  mime TEXT,
  width INTEGER,
  height INTEGER,
  thumbhash TEXT,
  reason_code TEXT,
  reason_detail TEXT,
  created_at INTEGER NOT NULL,
  inspected_at INTEGER,
  PRIMARY KEY (tenant_id, blob_id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX blobs_by_hash ON blobs (tenant_id, scope, sha256) WHERE state = 'live' AND sha256 IS NOT NULL;

-- What was derived from a blob, by preset and version.
CREATE TABLE renditions (
  tenant_id TEXT NOT NULL,
  blob_id TEXT NOT NULL,
  preset TEXT NOT NULL,
  version INTEGER NOT NULL,
  state TEXT NOT NULL,
  object_key TEXT,
  etag TEXT,
  format TEXT NOT NULL,
  width INTEGER,
  height INTEGER,
  size_bytes INTEGER,
  reason_code TEXT,
  reason_detail TEXT,
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, blob_id, preset, version)
) STRICT, WITHOUT ROWID;

-- Units of work. state: scheduled (run_at is to come), queued (due), leased or dead; what is done is deleted.
-- turn: the virtual finish time that keeps owners fair within a lane, given when the job becomes queued.
-- fence: raised by every lease; what reports with an old one changes nothing.
CREATE TABLE jobs (
  tenant_id TEXT NOT NULL,
  job_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  lane TEXT NOT NULL,
  owner_id TEXT NOT NULL,
  subject_id TEXT NOT NULL,
  unique_key TEXT NOT NULL,
  state TEXT NOT NULL,
  turn INTEGER NOT NULL,
  run_at INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  fence INTEGER NOT NULL,
  lease_until INTEGER,
  worker_id TEXT,
  error_code TEXT,
  error_detail TEXT,
  enqueued_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, job_id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX jobs_live ON jobs (tenant_id, unique_key) WHERE state <> 'dead';
-- The three indexes of queued jobs carry a condition more that is always true. The query made for one of them
-- repeats it, so that a planner without statistics cannot take another and sort the whole backlog.
CREATE INDEX jobs_waiting ON jobs (lane, turn, job_id) WHERE state = 'queued' AND job_id <> '';
CREATE INDEX jobs_by_owner ON jobs (lane, tenant_id, owner_id, turn) WHERE state = 'queued' AND owner_id <> '';
CREATE INDEX jobs_due ON jobs (lane, run_at) WHERE state = 'queued' AND run_at >= 0;
CREATE INDEX jobs_scheduled ON jobs (run_at, tenant_id, job_id) WHERE state = 'scheduled';
CREATE INDEX jobs_leased ON jobs (lease_until) WHERE state = 'leased';
CREATE INDEX jobs_dead ON jobs (tenant_id, job_id) WHERE state = 'dead';
CREATE INDEX jobs_by_subject ON jobs (tenant_id, subject_id);

-- What happened: ids, never content.
CREATE TABLE events (
  tenant_id TEXT NOT NULL,
  event_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  owner_id TEXT NOT NULL,
  capture_id TEXT,
  asset_id TEXT,
  detail TEXT,
  at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, event_id)
) STRICT, WITHOUT ROWID;

-- Idempotency records. lease_until: an operation in flight is taken over after it.
CREATE TABLE idempotency (
  tenant_id TEXT NOT NULL,
  caller TEXT NOT NULL,
  idempotency_key TEXT NOT NULL,
  operation TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  state TEXT NOT NULL,
  subject_id TEXT,
  error_code TEXT,
  lease_until INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, caller, idempotency_key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_by_expiry ON idempotency (expires_at);
