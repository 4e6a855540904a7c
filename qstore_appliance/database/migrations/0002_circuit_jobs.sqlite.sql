-- Circuits that clients of IonQ's API send to be run once, each or as a batch.
CREATE TABLE "circuit_jobs" (
    "id" VARCHAR(36) NOT NULL PRIMARY KEY,
    "organization_id" VARCHAR(40) NOT NULL,
    "user_id" VARCHAR(40) NOT NULL,
    "type" VARCHAR(50) NOT NULL,
    "name" VARCHAR(255),
    "target" VARCHAR(50) NOT NULL,
    "backend" VARCHAR(50) NOT NULL,
    "status" VARCHAR(20) NOT NULL,
    "input" JSON NOT NULL,
    "shots" INT NOT NULL,
    "dry_run" INT NOT NULL,
    "metadata" JSON,
    "settings" JSON NOT NULL,
    "noise" JSON,
    "child_ids" JSON NOT NULL,
    "n_qubits" INT NOT NULL,
    "n_circuits" INT NOT NULL,
    "gates_1q" INT NOT NULL,
    "gates_2q" INT NOT NULL,
    "failure" JSON,
    "results" BLOB,
    "estimated_cost" BIGINT NOT NULL,
    "cost" BIGINT NOT NULL,
    "fence" INT NOT NULL,
    "lease_until" TIMESTAMP,
    "created_at" TIMESTAMP NOT NULL,
    "started_at" TIMESTAMP,
    "completed_at" TIMESTAMP
);
CREATE INDEX "idx_circuit_job_organiz_617ba9" ON "circuit_jobs" ("organization_id", "id");
CREATE INDEX "idx_circuit_job_status_02c13c" ON "circuit_jobs" ("status", "organization_id", "id");
