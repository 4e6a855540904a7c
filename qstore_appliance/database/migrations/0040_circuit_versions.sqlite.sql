-- What circuits were until somebody changed their gates.
CREATE TABLE "circuit_versions" (
    "id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    "version" INT NOT NULL,
    "n_qubits" INT NOT NULL,
    "depth" INT NOT NULL,
    "gate_count" INT NOT NULL,
    "circuit_definition" JSON NOT NULL,
    "parameters" JSON NOT NULL,
    "replaced_by" VARCHAR(40) NOT NULL,
    "replaced_at" TIMESTAMP NOT NULL,
    "circuit_id" VARCHAR(40) NOT NULL REFERENCES "circuits" ("id") ON DELETE CASCADE,
    CONSTRAINT "uid_circuit_ver_circuit_d9edb3" UNIQUE ("circuit_id", "version")
);
