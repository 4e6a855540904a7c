package qstore

import (
	"context"
	"net/http"
)

const modelsPath = "/v1/models"

// Models are what training leaves, deployed and asked.
type Models struct{ wire *wire }

// List models; {"status": "deployed"} are those that answer.
func (x *Models) List(ctx context.Context, list List) (*Page[ModelSummary], error) {
	return page[ModelSummary](ctx, x.wire, modelsPath, list)
}

// Iterate over all of them.
func (x *Models) Iterate(list List) *Rows[ModelSummary] {
	return rows(x.wire, modelsPath, list, func(row ModelSummary) string { return row.ID })
}

// Get one model with its parameters and what it takes.
func (x *Models) Get(ctx context.Context, id string) (*Model, error) {
	return askFor[Model](ctx, x.wire, http.MethodGet, at(modelsPath, id), nil)
}

// Deploy serves a model. Deployments.Wait returns once it answers.
func (x *Models) Deploy(ctx context.Context, id string, draft DeploymentDraft, options ...Option) (*DeploymentStarted, error) {
	return askFor[DeploymentStarted](ctx, x.wire, http.MethodPost, at(modelsPath, id, "deploy"), draft, options...)
}

// Predict asks a deployed model: one answer for each row of the inputs, which are raw features. ErrValidation where the
// features are not as many as the model takes, ErrGone where it is retired.
func (x *Models) Predict(ctx context.Context, id string, inputs [][]float64, options *PredictOptions) (*Predictions, error) {
	body := map[string]any{"inputs": inputs}
	if options != nil {
		body["options"] = options
	}
	return askFor[Predictions](ctx, x.wire, http.MethodPost, at(modelsPath, id, "predict"), body)
}

// Metrics says how a model did in service, by UTC day. A window is "7d" or "24h", the present one included, at most 90
// days; seven days where it is empty.
func (x *Models) Metrics(ctx context.Context, id, window string) (*ModelMetrics, error) {
	found := new(ModelMetrics)
	asked := &request{method: http.MethodGet, path: at(modelsPath, id, "metrics"), query: values("window", window)}
	if err := x.wire.ask(ctx, asked, found); err != nil {
		return nil, err
	}
	return found, nil
}

// Retire takes a model out of service for good.
func (x *Models) Retire(ctx context.Context, id string) (*Model, error) {
	return askFor[Model](ctx, x.wire, http.MethodPost, at(modelsPath, id, "retire"), nil)
}
