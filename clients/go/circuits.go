package qstore

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
)

const circuitsPath = "/v1/circuits"

// Circuits store, import, find, draw, run, optimize, compare, change, delete and restore circuits.
type Circuits struct{ wire *wire }

// Create stores a circuit; ErrInvalidCircuit says which gate is wrong.
func (x *Circuits) Create(ctx context.Context, draft CircuitDraft, options ...Option) (*Circuit, error) {
	return askFor[Circuit](ctx, x.wire, http.MethodPost, circuitsPath, draft, options...)
}

// Import stores a circuit that is written otherwise: `qasm3`, `qasm2`, `ionq` and so on; ErrInvalidCircuit says at which line
// and column of a text it is wrong.
func (x *Circuits) Import(ctx context.Context, draft CircuitImport, options ...Option) (*Circuit, error) {
	return askFor[Circuit](ctx, x.wire, http.MethodPost, circuitsPath+"/import", draft, options...)
}

// List circuits without their gates; {"tags": "a,b"} are those that have any of them.
func (x *Circuits) List(ctx context.Context, list List) (*Page[CircuitSummary], error) {
	return page[CircuitSummary](ctx, x.wire, circuitsPath, list)
}

// Iterate over all of them.
func (x *Circuits) Iterate(list List) *Rows[CircuitSummary] {
	return rows(x.wire, circuitsPath, list, func(row CircuitSummary) string { return row.ID })
}

// Get a circuit with its gates.
func (x *Circuits) Get(ctx context.Context, id string) (*Circuit, error) {
	return askFor[Circuit](ctx, x.wire, http.MethodGet, at(circuitsPath, id), nil)
}

// Export is a circuit as text in `qasm3` or `qasm2`, or as JSON in `unified`, `qstore4`, `ionq` or `ionq_native`.
func (x *Circuits) Export(ctx context.Context, id, format string) (string, error) {
	if format == "qasm2" || format == "qasm3" {
		return x.wire.text(ctx, at(circuitsPath, id), values("format", format))
	}
	var found json.RawMessage
	asked := &request{method: http.MethodGet, path: at(circuitsPath, id), query: values("format", format)}
	err := x.wire.ask(ctx, asked, &found)
	return string(found), err
}

// Drawing is an SVG, or with the format "text" in characters; `theme` is "light" or "dark".
func (x *Circuits) Drawing(ctx context.Context, id, format, theme string) (string, error) {
	return x.wire.text(ctx, at(circuitsPath, id, "drawing"), values("format", format, "theme", theme))
}

// Run a circuit once with a number for each of its symbols; without shots exactly.
func (x *Circuits) Run(ctx context.Context, id string, draft ExecutionDraft, options ...Option) (*Execution, error) {
	return askFor[Execution](ctx, x.wire, http.MethodPost, at(circuitsPath, id, "run"), draft, options...)
}

// Optimize stores a smaller circuit that does the same, with a certificate that it does.
func (x *Circuits) Optimize(ctx context.Context, id string, draft OptimisationDraft, options ...Option) (*Optimised, error) {
	return askFor[Optimised](ctx, x.wire, http.MethodPost, at(circuitsPath, id, "optimize"), draft, options...)
}

// Compare says whether two circuits do the same up to a phase, or names a state that tells them apart.
func (x *Circuits) Compare(ctx context.Context, draft ComparisonDraft) (*Compared, error) {
	return askFor[Compared](ctx, x.wire, http.MethodPost, circuitsPath+"/compare", draft)
}

// Versions are what it was before each change of its gates, without them; the newest first.
func (x *Circuits) Versions(ctx context.Context, id string, list List) (*Page[CircuitVersion], error) {
	return page[CircuitVersion](ctx, x.wire, at(circuitsPath, id, "versions"), list)
}

// Version is what it was in one of its versions.
func (x *Circuits) Version(ctx context.Context, id string, version int) (*WholeCircuitVersion, error) {
	return askFor[WholeCircuitVersion](ctx, x.wire, http.MethodGet, at(circuitsPath, id, "versions", strconv.Itoa(version)), nil)
}

// Diff is the gates that only one of two versions has.
func (x *Circuits) Diff(ctx context.Context, id string, a, b int) (*VersionDifference, error) {
	var found VersionDifference
	query := values("a", strconv.Itoa(a), "b", strconv.Itoa(b))
	err := x.wire.ask(ctx, &request{method: http.MethodGet, path: at(circuitsPath, id, "diff"), query: query}, &found)
	return &found, err
}

// Update changes what is given and leaves the rest; new gates make a new version.
func (x *Circuits) Update(ctx context.Context, id string, draft CircuitPatch) (*Circuit, error) {
	return askFor[Circuit](ctx, x.wire, http.MethodPatch, at(circuitsPath, id), draft)
}

// Delete a circuit; for 24 hours it can be restored.
func (x *Circuits) Delete(ctx context.Context, id string) error {
	return x.wire.ask(ctx, &request{method: http.MethodDelete, path: at(circuitsPath, id)}, nil)
}

// Restore one that was deleted.
func (x *Circuits) Restore(ctx context.Context, id string) (*Circuit, error) {
	return askFor[Circuit](ctx, x.wire, http.MethodPost, at(circuitsPath, id, "restore"), nil)
}
