package qstore

import (
	"context"
	"net/http"
)

const downloadsPath = "/downloads"

// Downloads are packages that the server offers to machines without internet.
type Downloads struct{ wire *wire }

// List what there is.
func (x *Downloads) List(ctx context.Context) ([]Download, error) {
	var found []Download
	err := x.wire.ask(ctx, &request{method: http.MethodGet, path: downloadsPath}, &found)
	return found, err
}

// Get one of them.
func (x *Downloads) Get(ctx context.Context, name string) ([]byte, error) {
	_, _, content, err := x.wire.send(ctx, &request{method: http.MethodGet, path: at(downloadsPath, name)})
	return content, err
}
