package qstore

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

const deploymentsPath = "/v1/deployments"

// Deployments are models in service.
type Deployments struct {
	wire   *wire
	events *Events
}

// List deployments.
func (x *Deployments) List(ctx context.Context, list List) (*Page[Deployment], error) {
	return page[Deployment](ctx, x.wire, deploymentsPath, list)
}

// Iterate over all of them.
func (x *Deployments) Iterate(list List) *Rows[Deployment] {
	return rows(x.wire, deploymentsPath, list, func(row Deployment) string { return row.ID })
}

// Get one deployment with its replicas.
func (x *Deployments) Get(ctx context.Context, id string) (*Deployment, error) {
	return askFor[Deployment](ctx, x.wire, http.MethodGet, at(deploymentsPath, id), nil)
}

// RollOut changes the versions behind its address. What is not sent stays, and null ends a canary or a shadow: changes
// are a RolloutDraft, or a map where a null has to be said.
func (x *Deployments) RollOut(ctx context.Context, id string, changes any) (*Deployment, error) {
	return askFor[Deployment](ctx, x.wire, http.MethodPatch, at(deploymentsPath, id), changes)
}

// RollBack ends a canary and a shadow; where there is neither, the version that answered before answers again.
func (x *Deployments) RollBack(ctx context.Context, id string) (*Deployment, error) {
	return askFor[Deployment](ctx, x.wire, http.MethodPost, at(deploymentsPath, id, "rollback"), nil)
}

// StreamStatus is each change of its status, until you stop listening.
func (x *Deployments) StreamStatus(ctx context.Context, id string) *Stream[DeploymentUpdate] {
	return of[DeploymentUpdate](ctx, x.events, Listening{About: id}, "deployment.status")
}

// Wait for a deployment until it answers predictions; ErrNotDeployed where it does not, and will not.
func (x *Deployments) Wait(ctx context.Context, id string) (*Deployment, error) {
	for {
		// Its stream tells of changes alone, and it may have changed before anybody listened.
		found, err := x.Get(ctx, id)
		if err != nil {
			return nil, err
		}
		switch found.Status {
		case "deployed":
			return found, nil
		case "deploying":
			if err := sleep(ctx, 200*time.Millisecond); err != nil {
				return nil, err
			}
		default:
			return found, fmt.Errorf("deployment %s is %s: %w", id, found.Status, ErrNotDeployed)
		}
	}
}
