-- Letters that somebody outside shall get, and what webhooks are signed with.
CREATE TABLE "outbox" (
    "id" VARCHAR(40) NOT NULL PRIMARY KEY,
    "organization_id" VARCHAR(40) NOT NULL,
    "kind" VARCHAR(10) NOT NULL,
    "receiver" VARCHAR(300) NOT NULL,
    "destination" TEXT NOT NULL,
    "event" VARCHAR(50) NOT NULL,
    "payload" JSON NOT NULL,
    "status" VARCHAR(10) NOT NULL,
    "attempts" INT NOT NULL,
    "next_attempt_at" TIMESTAMP NOT NULL,
    "lease_until" TIMESTAMP,
    "last_error" TEXT,
    "created_at" TIMESTAMP NOT NULL,
    "delivered_at" TIMESTAMP
);
CREATE INDEX "idx_outbox_status_a060ae" ON "outbox" ("status", "next_attempt_at");
CREATE INDEX "idx_outbox_organiz_88ec5c" ON "outbox" ("organization_id", "status", "created_at");

CREATE TABLE "webhook_secrets" (
    "organization_id" VARCHAR(40) NOT NULL PRIMARY KEY,
    "secret" VARCHAR(100) NOT NULL,
    "created_at" TIMESTAMP NOT NULL
);

-- Alerts that have fired: the unique row decides that each does so once in a month.
CREATE TABLE "fired_alerts" (
    "id" VARCHAR(40) NOT NULL PRIMARY KEY,
    "organization_id" VARCHAR(40) NOT NULL,
    "month" VARCHAR(7) NOT NULL,
    "threshold" INT NOT NULL,
    "action" VARCHAR(20) NOT NULL,
    "spend" BIGINT NOT NULL,
    "monthly_limit" BIGINT NOT NULL,
    "created_at" TIMESTAMP NOT NULL,
    CONSTRAINT "uid_fired_alert_organiz_0ade69" UNIQUE ("organization_id", "month", "threshold", "action")
);
CREATE INDEX "idx_fired_alert_month_f233d9" ON "fired_alerts" ("month", "action");
