package qstore

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
)

const jobsPath = "/v1/jobs"

// Jobs are training jobs: submit, watch, stop, go on, repeat.
type Jobs struct {
	wire   *wire
	events *Events
}

// Submit a job that trains a model. ErrValidation, ErrBudgetExceeded, ErrBackendUnavailable, ErrDatasetMissing or
// ErrInsufficientMemory where it was not taken.
func (x *Jobs) Submit(ctx context.Context, draft JobDraft, options ...Option) (*Submitted, error) {
	return askFor[Submitted](ctx, x.wire, http.MethodPost, jobsPath, draft, options...)
}

// Estimate what a job would take and cost, without submitting it.
func (x *Jobs) Estimate(ctx context.Context, draft JobDraft) (*Estimate, error) {
	return askFor[Estimate](ctx, x.wire, http.MethodPost, jobsPath+"/estimate", draft)
}

// List jobs; {"status": "running,queued"} are those in one of these states. Their progress is a percentage.
func (x *Jobs) List(ctx context.Context, list List) (*Page[JobSummary], error) {
	return page[JobSummary](ctx, x.wire, jobsPath, list)
}

// Iterate over all of them.
func (x *Jobs) Iterate(list List) *Rows[JobSummary] {
	return rows(x.wire, jobsPath, list, func(row JobSummary) string { return row.ID })
}

// Get a job with all that is known of it.
func (x *Jobs) Get(ctx context.Context, id string) (*Job, error) {
	return askFor[Job](ctx, x.wire, http.MethodGet, at(jobsPath, id), nil)
}

// Cancel within two seconds; the last checkpoint is kept.
func (x *Jobs) Cancel(ctx context.Context, id string) (*JobState, error) {
	return askFor[JobState](ctx, x.wire, http.MethodPost, at(jobsPath, id, "cancel"), nil)
}

// Pause after the present epoch.
func (x *Jobs) Pause(ctx context.Context, id string) (*JobState, error) {
	return askFor[JobState](ctx, x.wire, http.MethodPost, at(jobsPath, id, "pause"), nil)
}

// Resume one that is paused.
func (x *Jobs) Resume(ctx context.Context, id string) (*JobState, error) {
	return askFor[JobState](ctx, x.wire, http.MethodPost, at(jobsPath, id, "resume"), nil)
}

// Continue to train where an ended job stopped, in a new job.
func (x *Jobs) Continue(ctx context.Context, id string, draft ContinueDraft, options ...Option) (*Submitted, error) {
	return askFor[Submitted](ctx, x.wire, http.MethodPost, at(jobsPath, id, "continue"), draft, options...)
}

// Replay runs an ended job again, in a new job that says whether it was the same, bit for bit.
func (x *Jobs) Replay(ctx context.Context, id string, options ...Option) (*Submitted, error) {
	return askFor[Submitted](ctx, x.wire, http.MethodPost, at(jobsPath, id, "replay"), nil, options...)
}

// TopUp raises the limit; where the job was paused for that, it goes on.
func (x *Jobs) TopUp(ctx context.Context, id string, draft TopUpDraft, options ...Option) (*Job, error) {
	return askFor[Job](ctx, x.wire, http.MethodPost, at(jobsPath, id, "top-up"), draft, options...)
}

// Logs are the last lines, of a level and above; 100 lines if that is zero.
func (x *Jobs) Logs(ctx context.Context, id string, lines int, level string) ([]LogLine, error) {
	asked := &request{method: http.MethodGet, path: at(jobsPath, id, "logs"), query: logQuery(lines, level)}
	var found Logs
	err := x.wire.ask(ctx, asked, &found)
	return found.Logs, err
}

func logQuery(lines int, level string) url.Values {
	query := values("level", level)
	if lines > 0 {
		query.Set("lines", strconv.Itoa(lines))
	}
	return query
}
