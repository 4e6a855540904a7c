-- The tables of database/tables/, as Tortoise declares them, and below them what it cannot say.
CREATE TABLE "organizations" (
    "id" VARCHAR(40) NOT NULL PRIMARY KEY,
    "name" VARCHAR(255) NOT NULL,
    "plan" VARCHAR(50) NOT NULL,
    "settings" JSON NOT NULL,
    "created_at" TIMESTAMP NOT NULL,
    "updated_at" TIMESTAMP NOT NULL
);

CREATE TABLE "setup" (
    "id" VARCHAR(40) NOT NULL PRIMARY KEY,
    "token_hash" VARCHAR(64) NOT NULL,
    "expires_at" TIMESTAMP NOT NULL
);

CREATE TABLE "users" (
    "id" VARCHAR(40) NOT NULL PRIMARY KEY,
    "email" VARCHAR(255) NOT NULL UNIQUE,
    "name" VARCHAR(255) NOT NULL,
    "password_hash" VARCHAR(255) NOT NULL,
    "role" VARCHAR(50) NOT NULL,
    "operator" INT NOT NULL,
    "disabled" INT NOT NULL,
    "preferences" JSON NOT NULL,
    "created_at" TIMESTAMP NOT NULL,
    "updated_at" TIMESTAMP NOT NULL,
    "last_active" TIMESTAMP,
    "organization_id" VARCHAR(40) NOT NULL REFERENCES "organizations" ("id") ON DELETE RESTRICT
);
CREATE INDEX "idx_users_organiz_d1d822" ON "users" ("organization_id");

CREATE TABLE "api_keys" (
    "id" VARCHAR(40) NOT NULL PRIMARY KEY,
    "organization_id" VARCHAR(40) NOT NULL,
    "key_hash" VARCHAR(255) NOT NULL UNIQUE,
    "key_prefix" VARCHAR(20) NOT NULL,
    "name" VARCHAR(255) NOT NULL,
    "scopes" JSON NOT NULL,
    "environment" VARCHAR(10) NOT NULL,
    "rate_limit" INT NOT NULL,
    "last_used" TIMESTAMP,
    "expires_at" TIMESTAMP,
    "revoked_at" TIMESTAMP,
    "created_at" TIMESTAMP NOT NULL,
    "user_id" VARCHAR(40) NOT NULL REFERENCES "users" ("id") ON DELETE CASCADE
);
CREATE INDEX "idx_api_keys_organiz_0f4ed0" ON "api_keys" ("organization_id");
CREATE INDEX "idx_api_keys_user_id_6285a8" ON "api_keys" ("user_id");

CREATE TABLE "sessions" (
    "id" VARCHAR(40) NOT NULL PRIMARY KEY,
    "organization_id" VARCHAR(40) NOT NULL,
    "kind" VARCHAR(10) NOT NULL,
    "refresh_hash" VARCHAR(64),
    "previous_hash" VARCHAR(64),
    "rotated_at" TIMESTAMP,
    "cookie_hash" VARCHAR(64) UNIQUE,
    "address" VARCHAR(64) NOT NULL,
    "agent" VARCHAR(200) NOT NULL,
    "created_at" TIMESTAMP NOT NULL,
    "last_used" TIMESTAMP NOT NULL,
    "expires_at" TIMESTAMP NOT NULL,
    "revoked_at" TIMESTAMP,
    "user_id" VARCHAR(40) NOT NULL REFERENCES "users" ("id") ON DELETE CASCADE
);
CREATE INDEX "idx_sessions_refresh_211627" ON "sessions" ("refresh_hash");
CREATE INDEX "idx_sessions_previou_7ed625" ON "sessions" ("previous_hash");
CREATE INDEX "idx_sessions_user_id_80072d" ON "sessions" ("user_id");

CREATE TABLE "circuits" (
    "id" VARCHAR(40) NOT NULL PRIMARY KEY,
    "organization_id" VARCHAR(40) NOT NULL,
    "user_id" VARCHAR(40) NOT NULL,
    "name" VARCHAR(255) NOT NULL,
    "description" TEXT,
    "n_qubits" INT NOT NULL,
    "depth" INT NOT NULL,
    "gate_count" INT NOT NULL,
    "circuit_definition" JSON NOT NULL,
    "parameters" JSON NOT NULL,
    "metadata" JSON NOT NULL,
    "version" INT NOT NULL,
    "created_at" TIMESTAMP NOT NULL,
    "updated_at" TIMESTAMP NOT NULL,
    "deleted_at" TIMESTAMP
);
CREATE INDEX "idx_circuits_user_id_ada93b" ON "circuits" ("user_id");
CREATE INDEX "idx_circuits_organiz_d4e88d" ON "circuits" ("organization_id", "created_at", "id");

CREATE TABLE "circuit_tags" (
    "id" INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    "organization_id" VARCHAR(40) NOT NULL,
    "tag" VARCHAR(100) NOT NULL,
    "circuit_id" VARCHAR(40) NOT NULL REFERENCES "circuits" ("id") ON DELETE CASCADE,
    CONSTRAINT "uid_circuit_tag_organiz_020852" UNIQUE ("organization_id", "tag", "circuit_id")
);
CREATE INDEX "idx_circuit_tag_circuit_27c999" ON "circuit_tags" ("circuit_id");

CREATE TABLE "datasets" (
    "id" VARCHAR(40) NOT NULL PRIMARY KEY,
    "organization_id" VARCHAR(40),
    "user_id" VARCHAR(40),
    "name" VARCHAR(255) NOT NULL,
    "source" VARCHAR(20) NOT NULL,
    "n_samples" INT NOT NULL,
    "n_features" INT NOT NULL,
    "classes" JSON NOT NULL,
    "digest" VARCHAR(80) NOT NULL,
    "size_bytes" BIGINT NOT NULL,
    "created_at" TIMESTAMP NOT NULL,
    "deleted_at" TIMESTAMP
);
CREATE INDEX "idx_datasets_organiz_3948a2" ON "datasets" ("organization_id", "created_at", "id");

CREATE TABLE "training_jobs" (
    "id" VARCHAR(40) NOT NULL PRIMARY KEY,
    "organization_id" VARCHAR(40) NOT NULL,
    "user_id" VARCHAR(40) NOT NULL,
    "circuit_id" VARCHAR(40) NOT NULL,
    "circuit" JSON NOT NULL,
    "status" VARCHAR(50) NOT NULL,
    "priority" VARCHAR(50) NOT NULL,
    "config" JSON NOT NULL,
    "backend" VARCHAR(50) NOT NULL,
    "progress" JSON NOT NULL,
    "metrics" JSON NOT NULL,
    "resources" JSON NOT NULL,
    "receipt" JSON NOT NULL,
    "reason" TEXT,
    "error_code" VARCHAR(50),
    "estimated_cost" BIGINT NOT NULL,
    "cost" BIGINT NOT NULL,
    "budget_limit" BIGINT,
    "project" VARCHAR(255),
    "tags" JSON NOT NULL,
    "model_id" VARCHAR(40),
    "continued_from" VARCHAR(40),
    "seq" BIGINT NOT NULL,
    "fence" INT NOT NULL,
    "attempt" INT NOT NULL,
    "lease_owner" VARCHAR(80),
    "lease_until" TIMESTAMP,
    "cancel_requested" INT NOT NULL,
    "checkpoint" VARCHAR(80),
    "checkpoint_epoch" INT NOT NULL,
    "created_at" TIMESTAMP NOT NULL,
    "started_at" TIMESTAMP,
    "updated_at" TIMESTAMP NOT NULL,
    "completed_at" TIMESTAMP
);
CREATE INDEX "idx_training_jo_user_id_0f3724" ON "training_jobs" ("user_id");
CREATE INDEX "idx_training_jo_circuit_dd1875" ON "training_jobs" ("circuit_id");
CREATE INDEX "idx_training_jo_organiz_9a3528" ON "training_jobs" ("organization_id", "created_at", "id");
CREATE INDEX "idx_training_jo_status_320603" ON "training_jobs" ("status", "created_at");

CREATE TABLE "job_events" (
    "id" INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    "seq" BIGINT NOT NULL,
    "channel" VARCHAR(40) NOT NULL,
    "data" JSON NOT NULL,
    "created_at" TIMESTAMP NOT NULL,
    "job_id" VARCHAR(40) NOT NULL REFERENCES "training_jobs" ("id") ON DELETE CASCADE,
    CONSTRAINT "uid_job_events_job_id_bb394e" UNIQUE ("job_id", "seq")
);

CREATE TABLE "job_logs" (
    "id" INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    "seq" BIGINT NOT NULL,
    "level" VARCHAR(10) NOT NULL,
    "message" TEXT NOT NULL,
    "created_at" TIMESTAMP NOT NULL,
    "job_id" VARCHAR(40) NOT NULL REFERENCES "training_jobs" ("id") ON DELETE CASCADE,
    CONSTRAINT "uid_job_logs_job_id_4dc7ee" UNIQUE ("job_id", "seq")
);

CREATE TABLE "models" (
    "id" VARCHAR(40) NOT NULL PRIMARY KEY,
    "organization_id" VARCHAR(40) NOT NULL,
    "user_id" VARCHAR(40) NOT NULL,
    "name" VARCHAR(255) NOT NULL,
    "version" VARCHAR(50) NOT NULL,
    "circuit_id" VARCHAR(40) NOT NULL,
    "training_job_id" VARCHAR(40) UNIQUE,
    "status" VARCHAR(50) NOT NULL,
    "metrics" JSON NOT NULL,
    "parameters" JSON NOT NULL,
    "inputs" JSON NOT NULL,
    "deployment" JSON NOT NULL,
    "artifact_digest" VARCHAR(80) NOT NULL,
    "artifact_bytes" BIGINT NOT NULL,
    "created_at" TIMESTAMP NOT NULL,
    "deployed_at" TIMESTAMP,
    "updated_at" TIMESTAMP NOT NULL,
    "deleted_at" TIMESTAMP,
    CONSTRAINT "uid_models_organiz_de2a96" UNIQUE ("organization_id", "name", "version")
);
CREATE INDEX "idx_models_user_id_b15f09" ON "models" ("user_id");
CREATE INDEX "idx_models_circuit_aaa999" ON "models" ("circuit_id");
CREATE INDEX "idx_models_organiz_78686e" ON "models" ("organization_id", "created_at", "id");
CREATE INDEX "idx_models_organiz_afc5d0" ON "models" ("organization_id", "status");

CREATE TABLE "deployments" (
    "id" VARCHAR(40) NOT NULL PRIMARY KEY,
    "organization_id" VARCHAR(40) NOT NULL,
    "endpoint" VARCHAR(255) NOT NULL,
    "backend" VARCHAR(50) NOT NULL,
    "config" JSON NOT NULL,
    "status" VARCHAR(50) NOT NULL,
    "capped" INT NOT NULL,
    "created_at" TIMESTAMP NOT NULL,
    "updated_at" TIMESTAMP NOT NULL,
    "model_id" VARCHAR(40) NOT NULL REFERENCES "models" ("id") ON DELETE CASCADE
);
CREATE INDEX "idx_deployments_model_i_2d21c3" ON "deployments" ("model_id");
CREATE INDEX "idx_deployments_organiz_9c8419" ON "deployments" ("organization_id", "created_at");

CREATE TABLE "budgets" (
    "organization_id" VARCHAR(40) NOT NULL PRIMARY KEY,
    "monthly_limit" BIGINT,
    "created_at" TIMESTAMP NOT NULL,
    "updated_at" TIMESTAMP NOT NULL
);

CREATE TABLE "cost_events" (
    "id" VARCHAR(40) NOT NULL PRIMARY KEY,
    "organization_id" VARCHAR(40) NOT NULL,
    "user_id" VARCHAR(40) NOT NULL,
    "event_type" VARCHAR(50) NOT NULL,
    "backend" VARCHAR(50) NOT NULL,
    "amount" BIGINT NOT NULL,
    "circuits" BIGINT NOT NULL,
    "shots" BIGINT NOT NULL,
    "job_id" VARCHAR(40),
    "model_id" VARCHAR(40),
    "created_at" TIMESTAMP NOT NULL
);
CREATE INDEX "idx_cost_events_job_id_6f8e5c" ON "cost_events" ("job_id");
CREATE INDEX "idx_cost_events_organiz_0ae91c" ON "cost_events" ("organization_id", "created_at");
CREATE INDEX "idx_cost_events_user_id_72b601" ON "cost_events" ("user_id", "created_at");

CREATE TABLE "blobs" (
    "digest" VARCHAR(80) NOT NULL PRIMARY KEY,
    "size" BIGINT NOT NULL,
    "created_at" TIMESTAMP NOT NULL
);

CREATE TABLE "blob_parts" (
    "id" INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    "part" INT NOT NULL,
    "content" BLOB NOT NULL,
    "blob_id" VARCHAR(80) NOT NULL REFERENCES "blobs" ("digest") ON DELETE CASCADE,
    CONSTRAINT "uid_blob_parts_blob_id_366d18" UNIQUE ("blob_id", "part")
);

CREATE TABLE "idempotency_keys" (
    "id" VARCHAR(64) NOT NULL PRIMARY KEY,
    "body_hash" VARCHAR(64) NOT NULL,
    "status" INT,
    "content_type" VARCHAR(100),
    "answer" BLOB,
    "created_at" TIMESTAMP NOT NULL
);
CREATE INDEX "idx_idempotency_created_944834" ON "idempotency_keys" ("created_at");

-- A name is imported once.
CREATE UNIQUE INDEX "uid_datasets_imported" ON "datasets" ("name") WHERE "source" = 'imported' AND "deleted_at" IS NULL;
