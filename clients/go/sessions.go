package qstore

import (
	"context"
	"net/http"
)

const sessionsPath = "/v1/sessions"

// Sessions are where you are signed in.
type Sessions struct{ wire *wire }

// List where you are signed in.
func (x *Sessions) List(ctx context.Context, list List) (*Page[Session], error) {
	return page[Session](ctx, x.wire, sessionsPath, list)
}

// Iterate over all of them.
func (x *Sessions) Iterate(list List) *Rows[Session] {
	return rows(x.wire, sessionsPath, list, func(row Session) string { return row.ID })
}

// End one.
func (x *Sessions) End(ctx context.Context, id string) error {
	return x.wire.ask(ctx, &request{method: http.MethodDelete, path: at(sessionsPath, id)}, nil)
}

// EndOthers ends every session of yours but the one that asks.
func (x *Sessions) EndOthers(ctx context.Context) (*Ended, error) {
	return askFor[Ended](ctx, x.wire, http.MethodDelete, sessionsPath, nil)
}
