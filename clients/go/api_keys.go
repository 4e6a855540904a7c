package qstore

import (
	"context"
	"net/http"
)

const keysPath = "/v1/api-keys"

// APIKeys are API keys.
type APIKeys struct{ wire *wire }

// Create a key; it is shown this once. It is nil only where the first answer was lost on the way and the request was sent
// again: then revoke that key and make another.
func (x *APIKeys) Create(ctx context.Context, draft ApiKeyDraft, options ...Option) (*ApiKey, error) {
	return askFor[ApiKey](ctx, x.wire, http.MethodPost, keysPath, draft, options...)
}

// List your keys, without their secrets.
func (x *APIKeys) List(ctx context.Context, list List) (*Page[ApiKey], error) {
	return page[ApiKey](ctx, x.wire, keysPath, list)
}

// Iterate over all of them.
func (x *APIKeys) Iterate(list List) *Rows[ApiKey] {
	return rows(x.wire, keysPath, list, func(row ApiKey) string { return row.ID })
}

// Revoke a key.
func (x *APIKeys) Revoke(ctx context.Context, id string) error {
	return x.wire.ask(ctx, &request{method: http.MethodDelete, path: at(keysPath, id)}, nil)
}
