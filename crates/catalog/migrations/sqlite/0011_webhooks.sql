-- Where a tenant's events are sent.
CREATE TABLE webhooks (
  tenant_id TEXT NOT NULL,
  webhook_id TEXT NOT NULL,
  url TEXT NOT NULL,
  -- Types of events, separated by spaces; NULL for all.
  kinds TEXT,
  description TEXT,
  -- With the server's own key these make the secrets that sign; a catalog alone signs nothing.
  salt TEXT NOT NULL,
  -- Those before that still sign, the newest first, separated by spaces.
  old_salt TEXT,
  old_until INTEGER,
  -- enabled, disabled, deleted: its rows are to be removed
  state TEXT NOT NULL,
  -- Why it is disabled: asked, gone, failing
  reason TEXT,
  disabled_at INTEGER,
  created_at INTEGER NOT NULL,
  -- All events up to here have their deliveries, where they are wanted.
  position INTEGER NOT NULL,
  -- Nobody works for it before; who does has put this off and raised the fence.
  free_at INTEGER NOT NULL,
  fence INTEGER NOT NULL,
  -- When its next delivery is due, as of the last look.
  next_due INTEGER,
  -- Failures since the last success, and when the first of them was.
  failures INTEGER NOT NULL,
  failing_since INTEGER,
  PRIMARY KEY (tenant_id, webhook_id)
) STRICT, WITHOUT ROWID;

-- What is sent to each, or was: the event's place and id, never its content.
CREATE TABLE webhook_deliveries (
  tenant_id TEXT NOT NULL,
  webhook_id TEXT NOT NULL,
  position INTEGER NOT NULL,
  event_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  -- pending, delivered, failed
  state TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  -- Raised when it is to be sent again: what is said of an earlier sending changes nothing then.
  fence INTEGER NOT NULL,
  -- While it is pending.
  due_at INTEGER,
  tried_at INTEGER,
  -- Of the last try: the HTTP status, or a code where there was none.
  status INTEGER,
  reason TEXT,
  settled_at INTEGER,
  PRIMARY KEY (tenant_id, webhook_id, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX webhook_deliveries_pending ON webhook_deliveries (tenant_id, webhook_id, due_at) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_settled ON webhook_deliveries (settled_at) WHERE settled_at IS NOT NULL;
CREATE INDEX webhook_deliveries_undelivered ON webhook_deliveries (tenant_id, webhook_id, position) WHERE state = 'pending';
CREATE INDEX webhooks_deleted ON webhooks (tenant_id, webhook_id) WHERE state = 'deleted';
