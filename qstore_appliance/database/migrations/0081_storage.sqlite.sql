-- How large a job's checkpoint is, which counts for what its organization may keep.
ALTER TABLE "training_jobs" ADD COLUMN "checkpoint_bytes" BIGINT NOT NULL DEFAULT 0;
