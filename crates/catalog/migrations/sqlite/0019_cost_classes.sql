-- class: what a job costs (light, heavy, video). Each class has workers of its own, so every question of a queue is of one
-- lane and one class: the indexes of queued jobs have it behind the lane. Those that they take the place of go: a version that
-- knows no classes sorts what is queued meanwhile.
ALTER TABLE jobs ADD COLUMN class TEXT NOT NULL DEFAULT 'light';
DROP INDEX jobs_waiting;
DROP INDEX jobs_by_owner;
DROP INDEX jobs_due;
CREATE INDEX jobs_waiting ON jobs (lane, class, turn, job_id) WHERE state = 'queued' AND job_id <> '';
CREATE INDEX jobs_by_owner ON jobs (lane, class, tenant_id, owner_id, turn) WHERE state = 'queued' AND owner_id <> '';
CREATE INDEX jobs_due ON jobs (lane, class, run_at) WHERE state = 'queued' AND run_at >= 0;

-- cpu_us: processor time that decoding took over all attempts so far, in microseconds.
ALTER TABLE jobs ADD COLUMN cpu_us INTEGER NOT NULL DEFAULT 0;
