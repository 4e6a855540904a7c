package qstore

import (
	"context"
	"net/http"
)

// Auth signs in and out, where no API key does it.
type Auth struct{ wire *wire }

// SignIn makes the client that user from now on. Tokens are renewed by themselves. `code` is that of a second factor, or
// empty; with one nobody can sign in again by itself.
func (x *Auth) SignIn(ctx context.Context, email, password, code string) (*Tokens, error) {
	grant := map[string]string{"grant_type": "password", "email": email, "password": password}
	if code != "" {
		grant["code"] = code
	}
	tokens, err := x.wire.grant(ctx, grant)
	if err == nil && code == "" {
		x.wire.state.Lock()
		defer x.wire.state.Unlock()
		x.wire.email, x.wire.password = email, password
	}
	return tokens, err
}

// Switch goes to another of your organizations, from now on. The session that asks ends.
func (x *Auth) Switch(ctx context.Context, draft SwitchDraft) (*Tokens, error) {
	tokens, err := askFor[Tokens](ctx, x.wire, http.MethodPost, "/v1/auth/switch", draft)
	if err == nil {
		x.wire.take(tokens)
	}
	return tokens, err
}

// Logout ends the session, its refresh tokens included.
func (x *Auth) Logout(ctx context.Context) error {
	if err := x.wire.ask(ctx, &request{method: http.MethodPost, path: "/v1/auth/logout"}, nil); err != nil {
		return err
	}
	x.wire.forget()
	return nil
}

// ForgotPassword has a link mailed that sets another password; nobody is told whether there is such a user.
func (x *Auth) ForgotPassword(ctx context.Context, email string) error {
	body := ResetWish{Email: email}
	return x.wire.ask(ctx, &request{method: http.MethodPost, path: "/v1/auth/password-reset", body: body}, nil)
}

// ResetPassword sets another password with the token of such a link.
func (x *Auth) ResetPassword(ctx context.Context, draft Reset) error {
	return x.wire.ask(ctx, &request{method: http.MethodPost, path: "/v1/auth/password-reset/confirm", body: draft}, nil)
}
