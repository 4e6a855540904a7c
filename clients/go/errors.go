package qstore

import (
	"errors"
	"fmt"
	"time"
)

// APIError is the server's refusal. errors.Is compares codes: errors.Is(err, qstore.ErrNotFound).
type APIError struct {
	// Code is stable, such as `NOT_FOUND`.
	Code string
	// Message is for people.
	Message string
	// Details are what the code has: `errors` of `VALIDATION_ERROR`, `limit` of `BUDGET_EXCEEDED` and so on.
	Details map[string]any
	// Status is that of HTTP; zero where it came over a live channel.
	Status int
	// RequestID is as it stands in the server's log.
	RequestID string
	// RetryAfter is when the server says to come back; zero where it says nothing.
	RetryAfter time.Duration
}

func (e *APIError) Error() string { return fmt.Sprintf("%s: %s", e.Code, e.Message) }

// Is holds for errors of the same code.
func (e *APIError) Is(target error) bool {
	var other *APIError
	return errors.As(target, &other) && other.Code == e.Code
}

// ErrConnection is that the server could not be reached, as often as it was tried.
var ErrConnection = errors.New("the server could not be reached")

// ErrUnexpected is that what answered is no Q-Store server, or one that is older than this client.
var ErrUnexpected = errors.New("this is no Q-Store server")

// ErrNotDeployed is that a deployment that was waited for does not answer.
var ErrNotDeployed = errors.New("the deployment does not answer")

// JobFailed is that a job that was waited for did not complete.
type JobFailed struct{ Job *Job }

func (e *JobFailed) Error() string {
	return fmt.Sprintf("job %s is %s %s", e.Job.ID, e.Job.Status, Value(e.Job.Reason))
}
