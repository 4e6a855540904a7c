-- What servers have counted of models in service, by the hour.
CREATE TABLE "model_hours" (
    "id" VARCHAR(120) NOT NULL PRIMARY KEY,
    "organization_id" VARCHAR(40) NOT NULL,
    "model_id" VARCHAR(40) NOT NULL,
    "hour" TIMESTAMP NOT NULL,
    "requests" BIGINT NOT NULL,
    "errors" BIGINT NOT NULL,
    "inputs" BIGINT NOT NULL,
    "cost" BIGINT NOT NULL,
    "milliseconds" REAL NOT NULL,
    "buckets" JSON NOT NULL
);
CREATE INDEX "idx_model_hours_model_i_4db6ca" ON "model_hours" ("model_id", "hour");
CREATE INDEX "idx_model_hours_hour_e93209" ON "model_hours" ("hour");
