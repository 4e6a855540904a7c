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

// Update it; what is not given stays.
func (x *Organizations) Update(ctx context.Context, draft OrganizationPatch) (*Organization, error) {
	return askFor[Organization](ctx, x.wire, http.MethodPatch, "/v1/organization", draft)
}

// AllowEveryBackend takes the list of allowed backends away, which Update cannot say.
func (x *Organizations) AllowEveryBackend(ctx context.Context) (*Organization, error) {
	body := map[string]any{"settings": map[string]any{"allowed_backends": nil}}
	return askFor[Organization](ctx, x.wire, http.MethodPatch, "/v1/organization", body)
}

// Mine are all that you belong to, and which of them you act in.
func (x *Organizations) Mine(ctx context.Context) ([]OwnOrganization, error) {
	found, err := askFor[[]OwnOrganization](ctx, x.wire, http.MethodGet, "/v1/organizations", nil)
	if err != nil {
		return nil, err
	}
	return *found, nil
}

// Transfer makes another member its owner. You are an administrator afterwards.
func (x *Organizations) Transfer(ctx context.Context, draft TransferDraft, options ...Option) (*Member, error) {
	return askFor[Member](ctx, x.wire, http.MethodPost, "/v1/organization/transfer", draft, options...)
}
