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
