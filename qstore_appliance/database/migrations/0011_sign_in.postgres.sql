-- What signing in needs beside the password: reset links, second factors, identities at a provider.
CREATE TABLE "password_resets" (
    "id" VARCHAR(40) NOT NULL PRIMARY KEY,
    "created_at" TIMESTAMPTZ NOT NULL,
    "expires_at" TIMESTAMPTZ NOT NULL,
    "used_at" TIMESTAMPTZ,
    "user_id" VARCHAR(40) NOT NULL REFERENCES "users" ("id") ON DELETE CASCADE
);
CREATE INDEX "idx_password_re_user_id_78da2a" ON "password_resets" ("user_id");

CREATE TABLE "second_factors" (
    "id" VARCHAR(40) NOT NULL PRIMARY KEY,
    "secret" VARCHAR(255) NOT NULL,
    "last_step" BIGINT NOT NULL,
    "created_at" TIMESTAMPTZ NOT NULL,
    "confirmed_at" TIMESTAMPTZ,
    "user_id" VARCHAR(40) NOT NULL REFERENCES "users" ("id") ON DELETE CASCADE,
    CONSTRAINT "uid_second_fact_user_id_3f71b6" UNIQUE ("user_id")
);

CREATE TABLE "recovery_codes" (
    "id" VARCHAR(40) NOT NULL PRIMARY KEY,
    "code_hash" VARCHAR(64) NOT NULL,
    "used_at" TIMESTAMPTZ,
    "user_id" VARCHAR(40) NOT NULL REFERENCES "users" ("id") ON DELETE CASCADE
);
CREATE INDEX "idx_recovery_co_user_id_d439e4" ON "recovery_codes" ("user_id");

CREATE TABLE "identities" (
    "id" VARCHAR(40) NOT NULL PRIMARY KEY,
    "issuer" VARCHAR(255) NOT NULL,
    "subject" VARCHAR(255) NOT NULL,
    "created_at" TIMESTAMPTZ NOT NULL,
    "last_used" TIMESTAMPTZ NOT NULL,
    "user_id" VARCHAR(40) NOT NULL REFERENCES "users" ("id") ON DELETE CASCADE,
    CONSTRAINT "uid_identities_issuer_1dda2d" UNIQUE ("issuer", "subject"),
    CONSTRAINT "uid_identities_user_id_01c87d" UNIQUE ("user_id", "issuer")
);

ALTER TABLE "sessions" ADD COLUMN "method" VARCHAR(20) NOT NULL DEFAULT 'password';
