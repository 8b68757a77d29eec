-- Endpoints that nobody works for, those first that have waited for longest: asked several times a second.
CREATE INDEX webhooks_free ON webhooks (free_at, tenant_id, webhook_id) WHERE state = 'enabled';
