-- What was measured of backends, by day, and by minute where they have a limit by the hour.
CREATE TABLE "backend_days" (
    "id" VARCHAR(64) NOT NULL PRIMARY KEY,
    "backend" VARCHAR(50) NOT NULL,
    "day" VARCHAR(10) NOT NULL,
    "circuits" BIGINT NOT NULL,
    "seconds" DOUBLE PRECISION NOT NULL,
    "checks" BIGINT NOT NULL,
    "checks_good" BIGINT NOT NULL,
    "jobs_started" BIGINT NOT NULL,
    "wait_seconds" DOUBLE PRECISION NOT NULL
);

CREATE TABLE "backend_minutes" (
    "id" VARCHAR(80) NOT NULL PRIMARY KEY,
    "backend" VARCHAR(50) NOT NULL,
    "minute" VARCHAR(16) NOT NULL,
    "circuits" BIGINT NOT NULL
);

-- Times in which the operator works on a backend.
CREATE TABLE "backend_maintenance" (
    "id" VARCHAR(40) NOT NULL PRIMARY KEY,
    "backend" VARCHAR(50) NOT NULL,
    "starts_at" TIMESTAMPTZ NOT NULL,
    "ends_at" TIMESTAMPTZ NOT NULL,
    "note" TEXT,
    "created_by" VARCHAR(40) NOT NULL,
    "created_at" TIMESTAMPTZ NOT NULL
);
