package qstore

import (
	"bytes"
	"context"
	"io"
	"mime/multipart"
	"net/http"
)

const modelsPath = "/v1/models"

// Models are what training leaves, kept in order, deployed and asked.
type Models struct{ wire *wire }

// List models; {"status": "deployed"} are those that answer, {"name": …} sorted by "-version" the versions of one, newest
// first.
func (x *Models) List(ctx context.Context, list List) (*Page[ModelSummary], error) {
	return page[ModelSummary](ctx, x.wire, modelsPath, list)
}

// Iterate over all of them.
func (x *Models) Iterate(list List) *Rows[ModelSummary] {
	return rows(x.wire, modelsPath, list, func(row ModelSummary) string { return row.ID })
}

// Get one model with its parameters, what it takes and where it comes from.
func (x *Models) Get(ctx context.Context, id string) (*Model, error) {
	return askFor[Model](ctx, x.wire, http.MethodGet, at(modelsPath, id), nil)
}

// Update changes what is given and leaves the rest.
func (x *Models) Update(ctx context.Context, id string, patch ModelPatch) (*Model, error) {
	return askFor[Model](ctx, x.wire, http.MethodPatch, at(modelsPath, id), patch)
}

// Promote gives a model the stage "staging" or "production", which the version that had it loses; nil takes it away.
func (x *Models) Promote(ctx context.Context, id string, stage *string) (*Model, error) {
	return askFor[Model](ctx, x.wire, http.MethodPost, at(modelsPath, id, "promote"), map[string]any{"stage": stage})
}

// Compare two models side by side: their numbers, what differs, and whether their scores compare.
func (x *Models) Compare(ctx context.Context, a, b string) (*Comparison, error) {
	return askFor[Comparison](ctx, x.wire, http.MethodPost, at(modelsPath, "compare"), CompareDraft{A: a, B: b})
}

// Delete a model; for 24 hours it can be restored.
func (x *Models) Delete(ctx context.Context, id string) error {
	return x.wire.ask(ctx, &request{method: http.MethodDelete, path: at(modelsPath, id)}, nil)
}

// Restore a model that was deleted within the last 24 hours.
func (x *Models) Restore(ctx context.Context, id string) (*Model, error) {
	return askFor[Model](ctx, x.wire, http.MethodPost, at(modelsPath, id, "restore"), nil)
}

// Export is a model as one signed archive, to be kept in a file that ends in .qcap.
func (x *Models) Export(ctx context.Context, id string) ([]byte, error) {
	_, _, content, err := x.wire.send(ctx, &request{method: http.MethodGet, path: at(modelsPath, id, "export")})
	return content, err
}

// Signer is the key that this installation signs archives with.
func (x *Models) Signer(ctx context.Context) (*Signer, error) {
	return askFor[Signer](ctx, x.wire, http.MethodGet, modelsPath+"/signer", nil)
}

// Verify says whether an archive is whole and rightly signed, by whom, and which model is in it.
func (x *Models) Verify(ctx context.Context, file []byte) (*Inspection, error) {
	found := new(Inspection)
	return found, x.wire.ask(ctx, archived("/verify", Archive{File: file}), found)
}

// Archive is a model to take in.
type Archive struct {
	File []byte
	// Name and Version that it has here; its own, if they are empty.
	Name, Version string
	// Accept is the fingerprint of a key that is not among the trusted ones, trusted for this once.
	Accept string
}

// Import takes in a model from an archive, with its circuit.
func (x *Models) Import(ctx context.Context, archive Archive, options ...Option) (*Model, error) {
	asked := archived("/import", archive)
	for _, option := range options {
		option(asked)
	}
	found := new(Model)
	return found, x.wire.ask(ctx, asked, found)
}

func archived(path string, archive Archive) *request {
	asked := &request{method: http.MethodPost, path: modelsPath + path}
	asked.form = func() (io.Reader, string, error) {
		body := new(bytes.Buffer)
		form := multipart.NewWriter(body)
		fields := [][2]string{{"name", archive.Name}, {"version", archive.Version}, {"accept", archive.Accept}}
		for _, field := range fields {
			if field[1] == "" {
				continue
			}
			if err := form.WriteField(field[0], field[1]); err != nil {
				return nil, "", err
			}
		}
		part, err := form.CreateFormFile("file", "model.qcap")
		if err != nil {
			return nil, "", err
		}
		if _, err := part.Write(archive.File); err != nil {
			return nil, "", err
		}
		return body, form.FormDataContentType(), form.Close()
	}
	return asked
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
