package qstore

import (
	"context"
)

const usagePath = "/v1/usage"

// UsageReports are what was used and what it cost.
type UsageReports struct{ wire *wire }

// Span of days, such as "2026-11-01"; without them it is the month so far.
type Span struct{ StartDate, EndDate string }

// Get it by "day", "backend", "user" or "project".
func (x *UsageReports) Get(ctx context.Context, span Span, groupBy string) (*Usage, error) {
	query := values("start_date", span.StartDate, "end_date", span.EndDate, "group_by", groupBy)
	found := new(Usage)
	if err := x.wire.ask(ctx, &request{method: "GET", path: usagePath, query: query}, found); err != nil {
		return nil, err
	}
	return found, nil
}

// CSV is the same as a file.
func (x *UsageReports) CSV(ctx context.Context, span Span, groupBy string) (string, error) {
	query := values("start_date", span.StartDate, "end_date", span.EndDate, "group_by", groupBy, "format", "csv")
	return x.wire.text(ctx, usagePath, query)
}
