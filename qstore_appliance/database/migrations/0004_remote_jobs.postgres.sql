-- What training jobs have sent to providers of quantum computers, and what those charged.
CREATE TABLE "remote_jobs" (
    "token" VARCHAR(40) NOT NULL PRIMARY KEY,
    "organization_id" VARCHAR(40) NOT NULL,
    "job_id" VARCHAR(40) NOT NULL,
    "backend" VARCHAR(50) NOT NULL,
    "key" VARCHAR(50) NOT NULL,
    "epoch" INT NOT NULL,
    "digest" VARCHAR(64) NOT NULL,
    "external_id" VARCHAR(64),
    "status" VARCHAR(20) NOT NULL,
    "circuits" INT NOT NULL,
    "shots" BIGINT NOT NULL,
    "charged" BIGINT,
    "noted_at" TIMESTAMPTZ NOT NULL,
    "created_at" TIMESTAMPTZ NOT NULL,
    "updated_at" TIMESTAMPTZ NOT NULL
);
CREATE INDEX "idx_remote_jobs_job_id_a683e3" ON "remote_jobs" ("job_id", "epoch");
CREATE INDEX "idx_remote_jobs_status_edbc4c" ON "remote_jobs" ("status", "job_id");
