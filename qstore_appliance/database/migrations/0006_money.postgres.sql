-- What was metered beside circuits and shots, and the project that it was for.
ALTER TABLE "cost_events" ADD COLUMN "cpu_microseconds" BIGINT NOT NULL DEFAULT 0;
ALTER TABLE "cost_events" ADD COLUMN "gpu_microseconds" BIGINT NOT NULL DEFAULT 0;
ALTER TABLE "cost_events" ADD COLUMN "project" VARCHAR(255);
UPDATE "cost_events" SET "project" = (SELECT "project" FROM "training_jobs" WHERE "training_jobs"."id" = "job_id")
WHERE "job_id" IS NOT NULL;

-- The month's spend and what live jobs may still cost, beside the limit that they are held against.
ALTER TABLE "budgets" ADD COLUMN "month" VARCHAR(7) NOT NULL DEFAULT '';
ALTER TABLE "budgets" ADD COLUMN "spent" BIGINT NOT NULL DEFAULT 0;
ALTER TABLE "budgets" ADD COLUMN "reserved" BIGINT NOT NULL DEFAULT 0;
ALTER TABLE "budgets" ADD COLUMN "alerts" JSONB NOT NULL DEFAULT '[]';

CREATE TABLE "reservations" (
    "job_id" VARCHAR(40) NOT NULL PRIMARY KEY,
    "organization_id" VARCHAR(40) NOT NULL,
    "amount" BIGINT NOT NULL,
    "charged" BIGINT NOT NULL DEFAULT 0,
    "circuits" BIGINT NOT NULL DEFAULT 0,
    "shots" BIGINT NOT NULL DEFAULT 0,
    "cpu_microseconds" BIGINT NOT NULL DEFAULT 0,
    "gpu_microseconds" BIGINT NOT NULL DEFAULT 0,
    "ahead" BIGINT NOT NULL DEFAULT 0,
    "until" TIMESTAMPTZ,
    "created_at" TIMESTAMPTZ NOT NULL
);
CREATE INDEX "idx_reservation_organiz_4fd7d3" ON "reservations" ("organization_id");

-- Jobs that are live now have been charged nothing yet: until this version that was done at their end.
INSERT INTO "reservations" ("job_id", "organization_id", "amount", "created_at")
SELECT "id", "organization_id", coalesce("budget_limit", "estimated_cost"), "created_at" FROM "training_jobs"
WHERE "status" IN ('queued', 'running', 'paused');
INSERT INTO "reservations" ("job_id", "organization_id", "amount", "created_at")
SELECT "id", "organization_id", "estimated_cost", "created_at" FROM "circuit_jobs"
WHERE "status" IN ('ready', 'running') AND "estimated_cost" > 0;

INSERT INTO "budgets" ("organization_id", "created_at", "updated_at")
SELECT "id", now(), now() FROM "organizations"
WHERE "id" NOT IN (SELECT "organization_id" FROM "budgets");
UPDATE "budgets" SET "month" = to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM'),
"spent" = coalesce((SELECT sum("amount") FROM "cost_events"
WHERE "cost_events"."organization_id" = "budgets"."organization_id" AND to_char("cost_events"."created_at" AT TIME ZONE 'UTC', 'YYYY-MM') = to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM')), 0),
"reserved" = coalesce((SELECT sum("amount") FROM "reservations"
WHERE "reservations"."organization_id" = "budgets"."organization_id"), 0);
