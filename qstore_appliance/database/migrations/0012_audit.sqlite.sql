-- Who did what: one chain for each organization and one for the installation.
CREATE TABLE "audit_entries" (
    "id" VARCHAR(40) NOT NULL PRIMARY KEY,
    "chain" VARCHAR(40) NOT NULL,
    "seq" BIGINT NOT NULL,
    "at" TIMESTAMP NOT NULL,
    "action" VARCHAR(40) NOT NULL,
    "actor" VARCHAR(255) NOT NULL,
    "user_id" VARCHAR(40) NOT NULL,
    "key_id" VARCHAR(40) NOT NULL,
    "address" VARCHAR(64) NOT NULL,
    "subject" VARCHAR(255) NOT NULL,
    "details" TEXT NOT NULL,
    "previous" VARCHAR(64) NOT NULL,
    "hash" VARCHAR(64) NOT NULL,
    CONSTRAINT "uid_audit_entri_chain_f05b4a" UNIQUE ("chain", "seq")
);
CREATE TABLE "audit_heads" (
    "chain" VARCHAR(40) NOT NULL PRIMARY KEY,
    "seq" BIGINT NOT NULL,
    "hash" VARCHAR(64) NOT NULL
);
CREATE TABLE "api_key_addresses" (
    "id" VARCHAR(120) NOT NULL PRIMARY KEY,
    "key_id" VARCHAR(40) NOT NULL,
    "first_used" TIMESTAMP NOT NULL
);
CREATE INDEX "idx_api_key_add_key_id_03190e" ON "api_key_addresses" ("key_id");
