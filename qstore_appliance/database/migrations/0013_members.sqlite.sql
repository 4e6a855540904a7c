-- Who belongs to which organization, and as what. Everybody so far is in the one that their row names.
CREATE TABLE "memberships" (
    "id" VARCHAR(40) NOT NULL PRIMARY KEY,
    "role" VARCHAR(50) NOT NULL,
    "disabled" INT NOT NULL,
    "last_active" TIMESTAMP,
    "created_at" TIMESTAMP NOT NULL,
    "updated_at" TIMESTAMP NOT NULL,
    "organization_id" VARCHAR(40) NOT NULL REFERENCES "organizations" ("id") ON DELETE RESTRICT,
    "user_id" VARCHAR(40) NOT NULL REFERENCES "users" ("id") ON DELETE CASCADE,
    CONSTRAINT "uid_memberships_user_id_1030f0" UNIQUE ("user_id", "organization_id")
);
CREATE INDEX "idx_memberships_organiz_e7107d" ON "memberships" ("organization_id");

INSERT INTO "memberships" ("id", "role", "disabled", "last_active", "created_at", "updated_at", "organization_id", "user_id")
SELECT 'member_' || substr("id", 6), "role", 0, "last_active", "created_at", "updated_at", "organization_id", "id"
FROM "users";
