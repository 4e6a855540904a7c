package qstore

import (
	"context"
	"net/http"
)

const sweepsPath = "/v1/sweeps"

// Sweeps are a job for each combination of the lists in `config`.
type Sweeps struct{ wire *wire }

// Submit at most 100 jobs; the budget limit is that of each.
func (x *Sweeps) Submit(ctx context.Context, draft SweepDraft, options ...Option) (*Sweep, error) {
	return askFor[Sweep](ctx, x.wire, http.MethodPost, sweepsPath, draft, options...)
}

// List sweeps.
func (x *Sweeps) List(ctx context.Context, list List) (*Page[SweepSummary], error) {
	return page[SweepSummary](ctx, x.wire, sweepsPath, list)
}

// Iterate over all of them.
func (x *Sweeps) Iterate(list List) *Rows[SweepSummary] {
	return rows(x.wire, sweepsPath, list, func(row SweepSummary) string { return row.ID })
}

// Get how far it is, and its jobs, the best first.
func (x *Sweeps) Get(ctx context.Context, id string) (*Sweep, error) {
	return askFor[Sweep](ctx, x.wire, http.MethodGet, at(sweepsPath, id), nil)
}

// Cancel every job of it that has not ended.
func (x *Sweeps) Cancel(ctx context.Context, id string) (*Sweep, error) {
	return askFor[Sweep](ctx, x.wire, http.MethodPost, at(sweepsPath, id, "cancel"), nil)
}
