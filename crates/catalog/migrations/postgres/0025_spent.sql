-- cpu_us: processor time that decoding took for this blob, in microseconds: of all attempts at jobs that were done. What jobs took
-- that failed for good stands in theirs (jobs.cpu_us).
ALTER TABLE blobs ADD COLUMN cpu_us BIGINT NOT NULL DEFAULT 0;
