package qstore

import (
	"bytes"
	"context"
	"io"
	"mime/multipart"
	"net/http"
)

const datasetsPath = "/v1/datasets"

// Datasets are built in, imported by the operator, or uploaded.
type Datasets struct{ wire *wire }

// List data sets.
func (x *Datasets) List(ctx context.Context, list List) (*Page[Dataset], error) {
	return page[Dataset](ctx, x.wire, datasetsPath, list)
}

// Iterate over all of them.
func (x *Datasets) Iterate(list List) *Rows[Dataset] {
	return rows(x.wire, datasetsPath, list, func(row Dataset) string { return row.ID })
}

// Upload says what a file is.
type Upload struct {
	// File is a CSV with a header line, or an NPZ with arrays `x` and `y`; Filename's ending says which.
	File     []byte
	Filename string
	// Name of the data set; the file's, if it is empty.
	Name string
	// Label is the column of a CSV to learn; the last, if it is empty.
	Label string
}

// Upload a data set. ErrValidation says what is wrong in it, and where.
func (x *Datasets) Upload(ctx context.Context, upload Upload, options ...Option) (*Dataset, error) {
	asked := &request{method: http.MethodPost, path: datasetsPath}
	asked.form = func() (io.Reader, string, error) {
		body := new(bytes.Buffer)
		form := multipart.NewWriter(body)
		for _, field := range [][2]string{{"name", upload.Name}, {"label", upload.Label}} {
			if field[1] == "" {
				continue
			}
			if err := form.WriteField(field[0], field[1]); err != nil {
				return nil, "", err
			}
		}
		part, err := form.CreateFormFile("file", first(upload.Filename, "data.csv"))
		if err != nil {
			return nil, "", err
		}
		if _, err := part.Write(upload.File); err != nil {
			return nil, "", err
		}
		return body, form.FormDataContentType(), form.Close()
	}
	for _, option := range options {
		option(asked)
	}
	found := new(Dataset)
	if err := x.wire.ask(ctx, asked, found); err != nil {
		return nil, err
	}
	return found, nil
}

// Get one; of a built-in or imported one the name is the id.
func (x *Datasets) Get(ctx context.Context, id string) (*Dataset, error) {
	return askFor[Dataset](ctx, x.wire, http.MethodGet, at(datasetsPath, id), nil)
}

// Statistics are the samples by class, and the range, mean and spread of each feature.
func (x *Datasets) Statistics(ctx context.Context, id string) (*map[string]any, error) {
	return askFor[map[string]any](ctx, x.wire, http.MethodGet, at(datasetsPath, id, "statistics"), nil)
}

// Delete one; models that learned from it stay.
func (x *Datasets) Delete(ctx context.Context, id string) error {
	return x.wire.ask(ctx, &request{method: http.MethodDelete, path: at(datasetsPath, id)}, nil)
}
