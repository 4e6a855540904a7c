package qstore

import (
	"context"
	"net/http"
)

const rolesPath = "/v1/roles"

// Roles are those of your organization: the four, and those that it has made.
type Roles struct{ wire *wire }

// Create one out of permissions that you have, such as `jobs:submit` or `circuits:*`.
func (x *Roles) Create(ctx context.Context, draft RoleDraft, options ...Option) (*OrganizationRole, error) {
	return askFor[OrganizationRole](ctx, x.wire, http.MethodPost, rolesPath, draft, options...)
}

// List them: the four first, then your organization's own.
func (x *Roles) List(ctx context.Context) ([]OrganizationRole, error) {
	found, err := askFor[[]OrganizationRole](ctx, x.wire, http.MethodGet, rolesPath, nil)
	if err != nil {
		return nil, err
	}
	return *found, nil
}

// Get one.
func (x *Roles) Get(ctx context.Context, name string) (*OrganizationRole, error) {
	return askFor[OrganizationRole](ctx, x.wire, http.MethodGet, at(rolesPath, name), nil)
}

// Update one: what is given replaces what was. It counts at once for everybody who has the role.
func (x *Roles) Update(ctx context.Context, name string, draft RolePatch) (*OrganizationRole, error) {
	return askFor[OrganizationRole](ctx, x.wire, http.MethodPatch, at(rolesPath, name), draft)
}

// Delete one that nobody has or is invited to.
func (x *Roles) Delete(ctx context.Context, name string) error {
	return x.wire.ask(ctx, &request{method: http.MethodDelete, path: at(rolesPath, name)}, nil)
}
