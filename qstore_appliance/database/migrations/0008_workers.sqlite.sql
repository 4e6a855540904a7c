-- Machines that take jobs, and what a job needs of one.
CREATE TABLE "workers" (
    "id" VARCHAR(40) NOT NULL PRIMARY KEY,
    "owner" VARCHAR(80) NOT NULL,
    "directory" VARCHAR(16) NOT NULL,
    "host" VARCHAR(255) NOT NULL,
    "pid" INT NOT NULL,
    "kind" VARCHAR(10) NOT NULL,
    "slots" INT NOT NULL,
    "cores" INT NOT NULL,
    "memory_bytes" BIGINT NOT NULL,
    "gpus" INT NOT NULL,
    "backends" JSON NOT NULL,
    "version" VARCHAR(40) NOT NULL,
    "started_at" TIMESTAMP NOT NULL,
    "heartbeat_at" TIMESTAMP NOT NULL
);
ALTER TABLE "training_jobs" ADD COLUMN "needs_gpu" INT NOT NULL DEFAULT 0;

-- The slots and the reaper look for these all the time, and there are few; Postgres has had it from the beginning.
CREATE INDEX "idx_training_jobs_live" ON "training_jobs" ("created_at") WHERE "status" IN ('queued', 'running', 'paused');
