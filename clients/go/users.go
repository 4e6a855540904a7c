package qstore

import (
	"context"
	"net/http"
)

// Users is who you are.
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
