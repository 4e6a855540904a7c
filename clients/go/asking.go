package qstore

import "context"

// askFor asks for a value with a body and the options of one request.
func askFor[T any](ctx context.Context, w *wire, method, path string, body any, options ...Option) (*T, error) {
	asked := &request{method: method, path: path, body: body}
	for _, option := range options {
		option(asked)
	}
	found := new(T)
	if err := w.ask(ctx, asked, found); err != nil {
		return nil, err
	}
	return found, nil
}
