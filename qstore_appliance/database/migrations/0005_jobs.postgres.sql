-- Jobs that are paused, continued, replayed and swept, and what the order of the line needs.
ALTER TABLE "organizations" ADD COLUMN "job_started_at" TIMESTAMPTZ;
ALTER TABLE "training_jobs" ADD COLUMN "replay_of" VARCHAR(40);
ALTER TABLE "training_jobs" ADD COLUMN "sweep_id" VARCHAR(40);
ALTER TABLE "training_jobs" ADD COLUMN "expected_seconds" DOUBLE PRECISION;
ALTER TABLE "training_jobs" ADD COLUMN "expected_bytes" BIGINT;
ALTER TABLE "training_jobs" ADD COLUMN "pause_reason" TEXT;
ALTER TABLE "training_jobs" ADD COLUMN "queued_at" TIMESTAMPTZ;
UPDATE "training_jobs" SET "queued_at" = "created_at";
CREATE INDEX "idx_training_jo_sweep_i_58f118" ON "training_jobs" ("sweep_id", "id");
CREATE INDEX "idx_training_jo_status_bff0d7" ON "training_jobs" ("status", "organization_id", "priority", "backend", "queued_at", "id");

CREATE TABLE "sweeps" (
    "id" VARCHAR(40) NOT NULL PRIMARY KEY,
    "organization_id" VARCHAR(40) NOT NULL,
    "user_id" VARCHAR(40) NOT NULL,
    "name" VARCHAR(255),
    "varied" JSONB NOT NULL,
    "task" VARCHAR(50) NOT NULL,
    "created_at" TIMESTAMPTZ NOT NULL
);
CREATE INDEX "idx_sweeps_organiz_8770f0" ON "sweeps" ("organization_id", "created_at", "id");
