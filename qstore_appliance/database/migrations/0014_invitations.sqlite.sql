-- Links that were given to somebody who is to become a member.
CREATE TABLE "invitations" (
    "id" VARCHAR(40) NOT NULL PRIMARY KEY,
    "email" VARCHAR(255) NOT NULL,
    "role" VARCHAR(50) NOT NULL,
    "invited_by" VARCHAR(40) NOT NULL,
    "mailed" INT NOT NULL,
    "created_at" TIMESTAMP NOT NULL,
    "expires_at" TIMESTAMP NOT NULL,
    "accepted_at" TIMESTAMP,
    "accepted_by" VARCHAR(40),
    "revoked_at" TIMESTAMP,
    "organization_id" VARCHAR(40) NOT NULL REFERENCES "organizations" ("id") ON DELETE RESTRICT
);
CREATE INDEX "idx_invitations_organiz_67f1e0" ON "invitations" ("organization_id");

-- Whose account was made on the host, as all were so far, is known.
ALTER TABLE "users" ADD COLUMN "email_proven" INT NOT NULL DEFAULT 1;
