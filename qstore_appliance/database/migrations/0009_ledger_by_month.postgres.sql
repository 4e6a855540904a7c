-- The ledger by month, as the specification has it: a partition for each, made ahead by database/partitions.py. A charge of
-- any other time lands in the default one. What was charged before this month stays where it is: its table becomes the
-- partition of all that; of this month the few rows move. Nothing is dropped but a key that is replaced by a wider one.
ALTER TABLE "cost_events" RENAME TO "cost_events_before";
ALTER INDEX "idx_cost_events_job_id_6f8e5c" RENAME TO "idx_cost_events_before_job_id";
ALTER INDEX "idx_cost_events_organiz_0ae91c" RENAME TO "idx_cost_events_before_organization_id";
ALTER INDEX "idx_cost_events_user_id_72b601" RENAME TO "idx_cost_events_before_user_id";
ALTER TABLE "cost_events_before" DROP CONSTRAINT "cost_events_pkey";

-- The column that decides on the partition has to be in the key.
CREATE TABLE "cost_events" (
    LIKE "cost_events_before" INCLUDING DEFAULTS,
    PRIMARY KEY ("id", "created_at")
) PARTITION BY RANGE ("created_at");
CREATE INDEX "idx_cost_events_job_id_6f8e5c" ON "cost_events" ("job_id");
CREATE INDEX "idx_cost_events_organiz_0ae91c" ON "cost_events" ("organization_id", "created_at");
CREATE INDEX "idx_cost_events_user_id_72b601" ON "cost_events" ("user_id", "created_at");
CREATE TABLE "cost_events_default" PARTITION OF "cost_events" DEFAULT;

-- That key alone would let an event in twice with two times; this one does not, whatever the partition.
CREATE TABLE "cost_event_ids" ("id" VARCHAR(40) NOT NULL PRIMARY KEY);
INSERT INTO "cost_event_ids" ("id") SELECT "id" FROM "cost_events_before";

DO $$
DECLARE
    month TIMESTAMP := date_trunc('month', now() AT TIME ZONE 'UTC');
    first TIMESTAMPTZ := month AT TIME ZONE 'UTC';
    after TIMESTAMPTZ := (month + INTERVAL '1 month') AT TIME ZONE 'UTC';
BEGIN
    EXECUTE format('CREATE TABLE %I PARTITION OF "cost_events" FOR VALUES FROM (%L) TO (%L)',
        'cost_events_' || to_char(month, 'YYYY_MM'), first, after);
    WITH "moved" AS (DELETE FROM "cost_events_before" WHERE "created_at" >= first RETURNING *)
        INSERT INTO "cost_events" SELECT * FROM "moved";
    EXECUTE format('ALTER TABLE "cost_events" ATTACH PARTITION "cost_events_before" FOR VALUES FROM (MINVALUE) TO (%L)', first);
END $$;

CREATE FUNCTION "cost_event_once"() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO "cost_event_ids" ("id") VALUES (NEW."id");
    RETURN NULL;
END $$;
CREATE TRIGGER "cost_event_once" AFTER INSERT ON "cost_events" FOR EACH ROW EXECUTE FUNCTION "cost_event_once"();
