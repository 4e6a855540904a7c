package qstore

import (
	"context"
)

const auditPath = "/v1/audit"

// Audit is who did what in your organization.
type Audit struct{ wire *wire }

// List the newest first; {"action": "api_key"} is an act or a family of acts, "q" a text in actor, subject or details.
func (x *Audit) List(ctx context.Context, list List) (*Page[AuditEntry], error) {
	return page[AuditEntry](ctx, x.wire, auditPath, list)
}

// Iterate over all of them.
func (x *Audit) Iterate(list List) *Rows[AuditEntry] {
	return rows(x.wire, auditPath, list, func(row AuditEntry) string { return row.ID })
}

// Export is all of it as a file, "jsonl" or "csv", the oldest first.
func (x *Audit) Export(ctx context.Context, format string) (string, error) {
	return x.wire.text(ctx, auditPath, values("format", first(format, "jsonl")))
}

// Verify whether every entry is there, in its place and unchanged.
func (x *Audit) Verify(ctx context.Context) (*AuditVerification, error) {
	return askFor[AuditVerification](ctx, x.wire, "GET", auditPath+"/verify", nil)
}
