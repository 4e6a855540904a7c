package qstore

import (
	"context"
)

// Probes are whether the server is there, and what it says about itself.
type Probes struct{ wire *wire }

// Health is whether it is there.
func (x *Probes) Health(ctx context.Context) (*Health, error) {
	found := new(Health)
	return found, x.wire.bare(ctx, "/health", found)
}

// Ready is whether all of its parts answer; ErrUnavailable where one does not.
func (x *Probes) Ready(ctx context.Context) (*Readiness, error) {
	found := new(Readiness)
	return found, x.wire.bare(ctx, "/ready", found)
}

// OpenAPI is the server's description of itself.
func (x *Probes) OpenAPI(ctx context.Context) (map[string]any, error) {
	found := map[string]any{}
	return found, x.wire.bare(ctx, "/openapi.json", &found)
}
