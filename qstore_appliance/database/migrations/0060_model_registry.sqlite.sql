-- The registry of models: versions sort as versions do, a stage has one version of a name, tags are listed by.
ALTER TABLE "models" ADD COLUMN "version_key" VARCHAR(500) NOT NULL DEFAULT '';
ALTER TABLE "models" ADD COLUMN "stage" VARCHAR(20);
ALTER TABLE "models" ADD COLUMN "notes" TEXT;
ALTER TABLE "models" ADD COLUMN "tags" JSON NOT NULL DEFAULT '[]';
ALTER TABLE "models" ADD COLUMN "lineage" JSON NOT NULL DEFAULT '{}';
CREATE INDEX "idx_models_organiz_260a20" ON "models" ("organization_id", "version_key", "id");
CREATE UNIQUE INDEX "uid_models_stage" ON "models" ("organization_id", "name", "stage");

CREATE TABLE "model_tags" (
    "id" INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    "organization_id" VARCHAR(40) NOT NULL,
    "tag" VARCHAR(100) NOT NULL,
    "model_id" VARCHAR(40) NOT NULL REFERENCES "models" ("id") ON DELETE CASCADE,
    CONSTRAINT "uid_model_tags_organiz_cb3de7" UNIQUE ("organization_id", "tag", "model_id")
);
CREATE INDEX "idx_model_tags_model_i_2408ba" ON "model_tags" ("model_id");

-- Every version so far is N.0.0.
UPDATE "models" SET "version_key" = printf('%08x', CAST("version" AS INTEGER)) || '0000000000000000ff';
-- Where the models that there are come from, their jobs know.
UPDATE "models" SET "lineage" = (
    SELECT json_object('circuit_version', json_extract("circuit", '$.version'), 'config', json("config"),
        'receipt', json("receipt"), 'continued_from', "continued_from")
    FROM "training_jobs" WHERE "training_jobs"."id" = "models"."training_job_id"
) WHERE "training_job_id" IN (SELECT "id" FROM "training_jobs");
