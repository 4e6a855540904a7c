package qstore

import (
	"context"
	"net/http"
)

// Organizations is your organization.
type Organizations struct{ wire *wire }

// Get it.
func (x *Organizations) Get(ctx context.Context) (*Organization, error) {
	return askFor[Organization](ctx, x.wire, http.MethodGet, "/v1/organization", nil)
}

// Transfer makes another member its owner. You are an administrator afterwards.
func (x *Organizations) Transfer(ctx context.Context, draft TransferDraft, options ...Option) (*Member, error) {
	return askFor[Member](ctx, x.wire, http.MethodPost, "/v1/organization/transfer", draft, options...)
}
