package qstore

import (
	"context"
	"net/http"
)

const backendsPath = "/v1/backends"

// Backends are what runs circuits here.
type Backends struct {
	wire   *wire
	events *Events
}

// List every backend that is installed, with the reason where one cannot be used.
func (x *Backends) List(ctx context.Context, list List) (*Page[Backend], error) {
	return page[Backend](ctx, x.wire, backendsPath, list)
}

// Iterate over all of them.
func (x *Backends) Iterate(list List) *Rows[Backend] {
	return rows(x.wire, backendsPath, list, func(row Backend) string { return row.ID })
}

// Get one.
func (x *Backends) Get(ctx context.Context, id string) (*Backend, error) {
	return askFor[Backend](ctx, x.wire, http.MethodGet, at(backendsPath, id), nil)
}

// Status is how it is doing now.
func (x *Backends) Status(ctx context.Context, id string) (*BackendHealth, error) {
	return askFor[BackendHealth](ctx, x.wire, http.MethodGet, at(backendsPath, id, "status"), nil)
}

// StreamStatus is each change of its status, until you stop listening.
func (x *Backends) StreamStatus(ctx context.Context, id string) *Stream[BackendUpdate] {
	return of[BackendUpdate](ctx, x.events, Listening{About: id}, "backend.status")
}
