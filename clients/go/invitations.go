package qstore

import (
	"context"
	"net/http"
)

const invitationsPath = "/v1/invitations"

// Invitations are links that make somebody a member of your organization, once.
type Invitations struct{ wire *wire }

// Create one. `Link` of the answer is shown this once; it is mailed too, where the server has a mail server.
func (x *Invitations) Create(ctx context.Context, draft InvitationDraft, options ...Option) (*Invitation, error) {
	return askFor[Invitation](ctx, x.wire, http.MethodPost, invitationsPath, draft, options...)
}

// List whom your organization has invited.
func (x *Invitations) List(ctx context.Context, list List) (*Page[Invitation], error) {
	return page[Invitation](ctx, x.wire, invitationsPath, list)
}

// Iterate over all of them.
func (x *Invitations) Iterate(list List) *Rows[Invitation] {
	return rows(x.wire, invitationsPath, list, func(row Invitation) string { return row.ID })
}

// Revoke one that nobody has accepted.
func (x *Invitations) Revoke(ctx context.Context, id string) error {
	return x.wire.ask(ctx, &request{method: http.MethodDelete, path: at(invitationsPath, id)}, nil)
}

// Offer is what a link offers; the token is what stands behind its `#`.
func (x *Invitations) Offer(ctx context.Context, draft LinkDraft) (*Offer, error) {
	return askFor[Offer](ctx, x.wire, http.MethodPost, invitationsPath+"/offer", draft)
}

// Accept one: become a member; then sign in. The password is that of the new account, or of the one that the address has
// already.
func (x *Invitations) Accept(ctx context.Context, draft AcceptDraft) (*Accepted, error) {
	return askFor[Accepted](ctx, x.wire, http.MethodPost, invitationsPath+"/accept", draft)
}

// Join as who is signed in; then Auth.Switch.
func (x *Invitations) Join(ctx context.Context, draft LinkDraft, options ...Option) (*Accepted, error) {
	return askFor[Accepted](ctx, x.wire, http.MethodPost, invitationsPath+"/join", draft, options...)
}
