package qstore

import (
	"context"
)

const workersPath = "/v1/workers"

// Workers are machines that take jobs, for their operator.
type Workers struct{ wire *wire }

// List them.
func (x *Workers) List(ctx context.Context, list List) (*Page[Worker], error) {
	return page[Worker](ctx, x.wire, workersPath, list)
}

// Iterate over all of them.
func (x *Workers) Iterate(list List) *Rows[Worker] {
	return rows(x.wire, workersPath, list, func(row Worker) string { return row.ID })
}
