-- An app using the service.
CREATE TABLE tenants (
  tenant_id TEXT COLLATE "C" NOT NULL,
  name TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id)
);

-- API keys: only a hash of the secret is kept.
CREATE TABLE api_keys (
  tenant_id TEXT COLLATE "C" NOT NULL,
  key_id TEXT COLLATE "C" NOT NULL,
  secret_hash TEXT COLLATE "C" NOT NULL,
  label TEXT NOT NULL,
  scopes TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  revoked_at BIGINT,
  PRIMARY KEY (tenant_id, key_id)
);
CREATE UNIQUE INDEX api_keys_by_secret ON api_keys (secret_hash);

-- One act of the shutter. device, network and battery are JSON, for segmentation.
CREATE TABLE captures (
  tenant_id TEXT COLLATE "C" NOT NULL,
  capture_id TEXT COLLATE "C" NOT NULL,
  owner_id TEXT COLLATE "C" NOT NULL,
  client_ref TEXT COLLATE "C" NOT NULL,
  mode TEXT NOT NULL,
  purpose TEXT,
  captured_at BIGINT,
  device TEXT,
  network TEXT,
  battery TEXT,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, capture_id)
);
CREATE UNIQUE INDEX captures_by_reference ON captures (tenant_id, owner_id, client_ref);

-- Which assets a capture holds. An asset that the owner had already joins later captures too.
CREATE TABLE capture_assets (
  tenant_id TEXT COLLATE "C" NOT NULL,
  capture_id TEXT COLLATE "C" NOT NULL,
  position BIGINT NOT NULL,
  client_ref TEXT COLLATE "C" NOT NULL,
  role TEXT NOT NULL,
  asset_id TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant_id, capture_id, position)
);

-- What a user sees; one lifecycle state, changed only by compare-and-set on version.
CREATE TABLE assets (
  tenant_id TEXT COLLATE "C" NOT NULL,
  asset_id TEXT COLLATE "C" NOT NULL,
  owner_id TEXT COLLATE "C" NOT NULL,
  capture_id TEXT COLLATE "C" NOT NULL,
  public_id TEXT COLLATE "C" NOT NULL,
  state TEXT COLLATE "C" NOT NULL,
  reason_code TEXT,
  reason_detail TEXT,
  version BIGINT NOT NULL,
  preview TEXT,
  created_at BIGINT NOT NULL,
  uploaded_at BIGINT,
  viewable_at BIGINT,
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, asset_id)
);
CREATE UNIQUE INDEX assets_by_public_id ON assets (public_id);
CREATE INDEX assets_by_owner ON assets (tenant_id, owner_id, asset_id);

-- One file of an asset. blob_id is set once its bytes are whole in the store.
CREATE TABLE resources (
  tenant_id TEXT COLLATE "C" NOT NULL,
  resource_id TEXT COLLATE "C" NOT NULL,
  asset_id TEXT COLLATE "C" NOT NULL,
  kind TEXT NOT NULL,
  filename TEXT,
  mime TEXT,
  size_bytes BIGINT NOT NULL,
  sha256 TEXT COLLATE "C",
  blob_id TEXT COLLATE "C",
  PRIMARY KEY (tenant_id, resource_id)
);
CREATE INDEX resources_by_asset ON resources (tenant_id, asset_id);
CREATE INDEX resources_by_blob ON resources (tenant_id, blob_id, asset_id) WHERE blob_id IS NOT NULL;

-- The transfer of one resource. signed_until: until then bytes may still arrive.
-- intent is the part list (JSON) that a completion goes by; committed before the store is asked.
CREATE TABLE uploads (
  tenant_id TEXT COLLATE "C" NOT NULL,
  upload_id TEXT COLLATE "C" NOT NULL,
  owner_id TEXT COLLATE "C" NOT NULL,
  asset_id TEXT COLLATE "C" NOT NULL,
  resource_id TEXT COLLATE "C" NOT NULL,
  object_key TEXT COLLATE "C" NOT NULL,
  store_upload_id TEXT,
  transport TEXT NOT NULL,
  part_size_bytes BIGINT NOT NULL,
  concurrency BIGINT NOT NULL,
  send_order BIGINT NOT NULL,
  size_bytes BIGINT NOT NULL,
  state TEXT COLLATE "C" NOT NULL,
  version BIGINT NOT NULL,
  intent TEXT,
  intent_at BIGINT,
  signed_until BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  cleared_at BIGINT,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, upload_id)
);
CREATE INDEX uploads_by_asset ON uploads (tenant_id, asset_id);
CREATE INDEX uploads_open ON uploads (expires_at) WHERE state = 'open';
CREATE INDEX uploads_completing ON uploads (intent_at) WHERE state = 'completing';
CREATE INDEX uploads_uncleared ON uploads (signed_until) WHERE state IN ('aborted', 'expired') AND cleared_at IS NULL;

-- Stored bytes under an immutable key. sha256 is set once it is verified.
CREATE TABLE blobs (
  tenant_id TEXT COLLATE "C" NOT NULL,
  blob_id TEXT COLLATE "C" NOT NULL,
  scope TEXT COLLATE "C" NOT NULL,
  object_key TEXT COLLATE "C" NOT NULL,
  etag TEXT NOT NULL,
  size_bytes BIGINT NOT NULL,
  sha256 TEXT COLLATE "C",
  state TEXT COLLATE "C" NOT NULL,
  verdict TEXT COLLATE "C" NOT NULL,
  mime TEXT,
  width BIGINT,
  height BIGINT,
  thumbhash TEXT,
  reason_code TEXT,
  reason_detail TEXT,
  created_at BIGINT NOT NULL,
  inspected_at BIGINT,
  PRIMARY KEY (tenant_id, blob_id)
);
CREATE UNIQUE INDEX blobs_by_hash ON blobs (tenant_id, scope, sha256) WHERE state = 'live' AND sha256 IS NOT NULL;

-- What was derived from a blob, by preset and version.
CREATE TABLE renditions (
  tenant_id TEXT COLLATE "C" NOT NULL,
  blob_id TEXT COLLATE "C" NOT NULL,
  preset TEXT COLLATE "C" NOT NULL,
  version BIGINT NOT NULL,
  state TEXT COLLATE "C" NOT NULL,
  object_key TEXT,
  etag TEXT,
  format TEXT NOT NULL,
  width BIGINT,
  height BIGINT,
  size_bytes BIGINT,
  reason_code TEXT,
  reason_detail TEXT,
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, blob_id, preset, version)
);

-- Units of work. state: scheduled (run_at is to come), queued (due), leased or dead; what is done is deleted.
-- turn: the virtual finish time that keeps owners fair within a lane, given when the job becomes queued.
-- fence: raised by every lease; what reports with an old one changes nothing.
CREATE TABLE jobs (
  tenant_id TEXT COLLATE "C" NOT NULL,
  job_id TEXT COLLATE "C" NOT NULL,
  kind TEXT COLLATE "C" NOT NULL,
  lane TEXT COLLATE "C" NOT NULL,
  owner_id TEXT COLLATE "C" NOT NULL,
  subject_id TEXT COLLATE "C" NOT NULL,
  unique_key TEXT COLLATE "C" NOT NULL,
  state TEXT COLLATE "C" NOT NULL,
  turn BIGINT NOT NULL,
  run_at BIGINT NOT NULL,
  attempts BIGINT NOT NULL,
  fence BIGINT NOT NULL,
  lease_until BIGINT,
  worker_id TEXT,
  error_code TEXT,
  error_detail TEXT,
  enqueued_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, job_id)
);
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
-- Every job is updated and deleted within seconds: dead entries at the head of an index would slow every claim.
ALTER TABLE jobs SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 1000);

-- What happened: ids, never content.
CREATE TABLE events (
  tenant_id TEXT COLLATE "C" NOT NULL,
  event_id TEXT COLLATE "C" NOT NULL,
  kind TEXT COLLATE "C" NOT NULL,
  owner_id TEXT COLLATE "C" NOT NULL,
  capture_id TEXT COLLATE "C",
  asset_id TEXT COLLATE "C",
  detail TEXT,
  at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, event_id)
);

-- Idempotency records. lease_until: an operation in flight is taken over after it.
CREATE TABLE idempotency (
  tenant_id TEXT COLLATE "C" NOT NULL,
  caller TEXT COLLATE "C" NOT NULL,
  idempotency_key TEXT COLLATE "C" NOT NULL,
  operation TEXT COLLATE "C" NOT NULL,
  fingerprint TEXT COLLATE "C" NOT NULL,
  state TEXT COLLATE "C" NOT NULL,
  subject_id TEXT COLLATE "C",
  error_code TEXT,
  lease_until BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, caller, idempotency_key)
);
CREATE INDEX idempotency_by_expiry ON idempotency (expires_at);
