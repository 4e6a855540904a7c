package qstore

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

const graphqlPath = "/graphql"

// GraphQLDoor is for questions that REST needs several requests for.
type GraphQLDoor struct{ wire *wire }

// Query reads `data` of a query, or of a document of mutations, into a value. An *APIError has the code of the first
// error; its Details["errors"] are all of them.
func (x *GraphQLDoor) Query(
	ctx context.Context, query string, variables map[string]any, into any, options ...Option,
) error {
	body := map[string]any{"query": query, "variables": variables}
	asked := &request{method: http.MethodPost, path: graphqlPath, body: body}
	for _, option := range options {
		option(asked)
	}
	status, _, content, err := x.wire.send(ctx, asked)
	if err != nil {
		return err
	}
	var told struct {
		Data   json.RawMessage `json:"data"`
		Errors []struct {
			Message    string         `json:"message"`
			Extensions map[string]any `json:"extensions"`
		} `json:"errors"`
	}
	if err := json.Unmarshal(content, &told); err != nil {
		return fmt.Errorf("POST /graphql: %w", ErrUnexpected)
	}
	if len(told.Errors) > 0 {
		said := told.Errors[0]
		code, _ := said.Extensions["code"].(string)
		details := map[string]any{"errors": told.Errors, "data": told.Data}
		return &APIError{Code: first(code, "INTERNAL"), Message: said.Message, Details: details, Status: status}
	}
	return json.Unmarshal(told.Data, into)
}

// Schema is for code generators and editors.
func (x *GraphQLDoor) Schema(ctx context.Context) (string, error) {
	return x.wire.text(ctx, graphqlPath+"/schema.graphql", nil)
}
