package qstore

import (
	"context"
	"net/http"
)

const outboxPath = "/v1/outbox"

// Outbox are messages to people and programs outside.
type Outbox struct{ wire *wire }

// List messages; {"status": "dead"} are those that nobody took.
func (x *Outbox) List(ctx context.Context, list List) (*Page[Letter], error) {
	return page[Letter](ctx, x.wire, outboxPath, list)
}

// Iterate over all of them.
func (x *Outbox) Iterate(list List) *Rows[Letter] {
	return rows(x.wire, outboxPath, list, func(row Letter) string { return row.ID })
}

// Retry a message now.
func (x *Outbox) Retry(ctx context.Context, id string) (*Letter, error) {
	return askFor[Letter](ctx, x.wire, http.MethodPost, at(outboxPath, id, "retry"), nil)
}
