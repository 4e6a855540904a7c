package qstore

import (
	"context"
	"net/http"
)

const secondFactorPath = "/v1/users/me/second-factor"

// SecondFactors is the second factor of your sign-in: codes of an authenticator.
type SecondFactors struct{ wire *wire }

// Get says whether it is on.
func (x *SecondFactors) Get(ctx context.Context) (*SecondFactor, error) {
	return askFor[SecondFactor](ctx, x.wire, http.MethodGet, secondFactorPath, nil)
}

// Enrol makes a secret for an authenticator; it counts once Confirm has seen a code of it.
func (x *SecondFactors) Enrol(ctx context.Context, draft EnrolmentDraft) (*Enrolment, error) {
	return askFor[Enrolment](ctx, x.wire, http.MethodPost, secondFactorPath, draft)
}

// Confirm turns it on. Recovery codes are shown this once.
func (x *SecondFactors) Confirm(ctx context.Context, draft ConfirmationDraft) (*RecoveryCodes, error) {
	return askFor[RecoveryCodes](ctx, x.wire, http.MethodPost, secondFactorPath+"/confirm", draft)
}

// RenewRecoveryCodes makes the ones before worth nothing.
func (x *SecondFactors) RenewRecoveryCodes(ctx context.Context, draft RemovalDraft) (*RecoveryCodes, error) {
	return askFor[RecoveryCodes](ctx, x.wire, http.MethodPost, secondFactorPath+"/recovery-codes", draft)
}

// Remove turns it off.
func (x *SecondFactors) Remove(ctx context.Context, draft RemovalDraft) error {
	return x.wire.ask(ctx, &request{method: http.MethodPost, path: secondFactorPath + "/remove", body: draft}, nil)
}
