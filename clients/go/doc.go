// Package qstore asks a Q-Store appliance: circuits, training jobs, models and predictions. It needs nothing but the
// standard library.
//
//	client := qstore.New(qstore.Options{})
//	job, err := client.Jobs.Submit(ctx, qstore.JobDraft{CircuitID: circuit.ID, Config: config})
//
// Types and error codes are written by `generate` from the server's own description. What is optional in a draft is a
// pointer: qstore.Ptr(10).
package qstore

// Ptr is a pointer to a value, for the optional fields of drafts.
func Ptr[T any](value T) *T { return &value }

// Value is what a pointer leads to, and the zero value where it leads nowhere.
func Value[T any](pointer *T) T {
	if pointer == nil {
		var nothing T
		return nothing
	}
	return *pointer
}
