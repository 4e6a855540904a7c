package qstore

import (
	"context"
	"net/http"
)

const budgetPath = "/v1/budget"

// Budgets is the month's budget.
type Budgets struct{ wire *wire }

// Get the limit, what is spent and reserved of it, and where the month is heading.
func (x *Budgets) Get(ctx context.Context) (*Budget, error) {
	return askFor[Budget](ctx, x.wire, http.MethodGet, budgetPath, nil)
}

// Update the limit in US dollars, nil for none; alerts that were there stay, if none are given.
func (x *Budgets) Update(ctx context.Context, draft BudgetDraft) (*Budget, error) {
	return askFor[Budget](ctx, x.wire, http.MethodPut, budgetPath, draft)
}

// TestAlerts sends a test message to every destination of the alerts.
func (x *Budgets) TestAlerts(ctx context.Context) ([]SentLetter, error) {
	var found []SentLetter
	err := x.wire.ask(ctx, &request{method: http.MethodPost, path: budgetPath + "/alerts/test"}, &found)
	return found, err
}
