package qstore

import (
	"context"
	"net/http"
)

const webhooksPath = "/v1/webhooks/secret"

// Webhooks is what your organization's webhooks are signed with.
type Webhooks struct{ wire *wire }

// Secret is what they are signed with.
func (x *Webhooks) Secret(ctx context.Context) (*WebhookSecret, error) {
	return askFor[WebhookSecret](ctx, x.wire, http.MethodGet, webhooksPath, nil)
}

// RenewSecret: everything that is sent from now on is signed with the new one.
func (x *Webhooks) RenewSecret(ctx context.Context) (*WebhookSecret, error) {
	return askFor[WebhookSecret](ctx, x.wire, http.MethodPost, webhooksPath, nil)
}
