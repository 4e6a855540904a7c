package qstore

import (
	"context"
	"net/http"
)

const usersPath = "/v1/users"

// Users is who you are, and the people of your organization.
type Users struct{ wire *wire }

// Me is who you are, what you may do, and your API keys, masked.
func (x *Users) Me(ctx context.Context) (*Profile, error) {
	return askFor[Profile](ctx, x.wire, http.MethodGet, "/v1/users/me", nil)
}

// UpdateMe changes your name or preferences, such as `default_backend`.
func (x *Users) UpdateMe(ctx context.Context, draft ProfilePatch) (*Profile, error) {
	return askFor[Profile](ctx, x.wire, http.MethodPatch, "/v1/users/me", draft)
}

// ChangePassword ends every other session of yours.
func (x *Users) ChangePassword(ctx context.Context, draft PasswordChange) error {
	return x.wire.ask(ctx, &request{method: http.MethodPost, path: "/v1/users/me/password", body: draft}, nil)
}

// List the people of your organization, those who are kept out included.
func (x *Users) List(ctx context.Context, list List) (*Page[Member], error) {
	return page[Member](ctx, x.wire, usersPath, list)
}

// Iterate over all of them.
func (x *Users) Iterate(list List) *Rows[Member] {
	return rows(x.wire, usersPath, list, func(row Member) string { return row.ID })
}

// Get one of them.
func (x *Users) Get(ctx context.Context, id string) (*Member, error) {
	return askFor[Member](ctx, x.wire, http.MethodGet, at(usersPath, id), nil)
}

// Update gives somebody another role, keeps them out, or lets them in again.
func (x *Users) Update(ctx context.Context, id string, draft MemberPatch) (*Member, error) {
	return askFor[Member](ctx, x.wire, http.MethodPatch, at(usersPath, id), draft)
}

// Remove somebody from your organization, or leave it yourself.
func (x *Users) Remove(ctx context.Context, id string) error {
	return x.wire.ask(ctx, &request{method: http.MethodDelete, path: at(usersPath, id)}, nil)
}
