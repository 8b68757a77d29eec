-- Where a tenant's events are sent.
CREATE TABLE webhooks (
  tenant_id TEXT COLLATE "C" NOT NULL,
  webhook_id TEXT COLLATE "C" NOT NULL,
  url TEXT NOT NULL,
  -- Types of events, separated by spaces; NULL for all.
  kinds TEXT,
  description TEXT,
  -- With the server's own key these make the secrets that sign; a catalog alone signs nothing.
  salt TEXT NOT NULL,
  -- Those before that still sign, the newest first, separated by spaces.
  old_salt TEXT,
  old_until BIGINT,
  -- enabled, disabled, deleted: its rows are to be removed
  state TEXT NOT NULL,
  -- Why it is disabled: asked, gone, failing
  reason TEXT,
  disabled_at BIGINT,
  created_at BIGINT NOT NULL,
  -- All events up to here have their deliveries, where they are wanted.
  position BIGINT NOT NULL,
  -- Nobody works for it before; who does has put this off and raised the fence.
  free_at BIGINT NOT NULL,
  fence BIGINT NOT NULL,
  -- When its next delivery is due, as of the last look.
  next_due BIGINT,
  -- Failures since the last success, and when the first of them was.
  failures BIGINT NOT NULL,
  failing_since BIGINT,
  PRIMARY KEY (tenant_id, webhook_id)
);

-- What is sent to each, or was: the event's place and id, never its content.
CREATE TABLE webhook_deliveries (
  tenant_id TEXT COLLATE "C" NOT NULL,
  webhook_id TEXT COLLATE "C" NOT NULL,
  position BIGINT NOT NULL,
  event_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  -- pending, delivered, failed
  state TEXT NOT NULL,
  attempts BIGINT NOT NULL,
  -- Raised when it is to be sent again: what is said of an earlier sending changes nothing then.
  fence BIGINT NOT NULL,
  -- While it is pending.
  due_at BIGINT,
  tried_at BIGINT,
  -- Of the last try: the HTTP status, or a code where there was none.
  status BIGINT,
  reason TEXT,
  settled_at BIGINT,
  PRIMARY KEY (tenant_id, webhook_id, position)
);
CREATE INDEX webhook_deliveries_pending ON webhook_deliveries (tenant_id, webhook_id, due_at) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_settled ON webhook_deliveries (settled_at) WHERE settled_at IS NOT NULL;
CREATE INDEX webhook_deliveries_undelivered ON webhook_deliveries (tenant_id, webhook_id, position) WHERE state = 'pending';
CREATE INDEX webhooks_deleted ON webhooks (tenant_id, webhook_id) WHERE state = 'deleted';
