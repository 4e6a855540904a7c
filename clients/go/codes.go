// Code generated from the server's own description by clients/go/generate; DO NOT EDIT.

package qstore

// Errors by their stable codes: errors.Is(err, qstore.ErrNotFound).
var (
	ErrArtifactCorrupt      = &APIError{Code: "ARTIFACT_CORRUPT"}
	ErrBackendBadResponse   = &APIError{Code: "BACKEND_BAD_RESPONSE"}
	ErrBackendCannot        = &APIError{Code: "BACKEND_CANNOT"}
	ErrBackendUnavailable   = &APIError{Code: "BACKEND_UNAVAILABLE"}
	ErrBudgetExceeded       = &APIError{Code: "BUDGET_EXCEEDED"}
	ErrCancelled            = &APIError{Code: "CANCELLED"}
	ErrConflict             = &APIError{Code: "CONFLICT"}
	ErrDatasetMissing       = &APIError{Code: "DATASET_MISSING"}
	ErrDeadline             = &APIError{Code: "DEADLINE"}
	ErrDiverged             = &APIError{Code: "DIVERGED"}
	ErrForbidden            = &APIError{Code: "FORBIDDEN"}
	ErrGone                 = &APIError{Code: "GONE"}
	ErrHardwareForbidden    = &APIError{Code: "HARDWARE_FORBIDDEN"}
	ErrInsufficientMemory   = &APIError{Code: "INSUFFICIENT_MEMORY"}
	ErrInternal             = &APIError{Code: "INTERNAL"}
	ErrInvalidCircuit       = &APIError{Code: "INVALID_CIRCUIT"}
	ErrLastOwner            = &APIError{Code: "LAST_OWNER"}
	ErrMalformed            = &APIError{Code: "MALFORMED"}
	ErrMethodNotAllowed     = &APIError{Code: "METHOD_NOT_ALLOWED"}
	ErrNotFound             = &APIError{Code: "NOT_FOUND"}
	ErrNoCapacity           = &APIError{Code: "NO_CAPACITY"}
	ErrPreconditionFailed   = &APIError{Code: "PRECONDITION_FAILED"}
	ErrRateLimited          = &APIError{Code: "RATE_LIMITED"}
	ErrSecondFactorRequired = &APIError{Code: "SECOND_FACTOR_REQUIRED"}
	ErrSignatureInvalid     = &APIError{Code: "SIGNATURE_INVALID"}
	ErrSignerUnknown        = &APIError{Code: "SIGNER_UNKNOWN"}
	ErrStorageFull          = &APIError{Code: "STORAGE_FULL"}
	ErrTooLarge             = &APIError{Code: "TOO_LARGE"}
	ErrUnauthenticated      = &APIError{Code: "UNAUTHENTICATED"}
	ErrUnavailable          = &APIError{Code: "UNAVAILABLE"}
	ErrUnsupportedMediaType = &APIError{Code: "UNSUPPORTED_MEDIA_TYPE"}
	ErrValidation           = &APIError{Code: "VALIDATION_ERROR"}
	ErrWebhookForbidden     = &APIError{Code: "WEBHOOK_FORBIDDEN"}
	ErrWorkerCrash          = &APIError{Code: "WORKER_CRASH"}
	ErrWorkerOom            = &APIError{Code: "WORKER_OOM"}
	ErrWrongHost            = &APIError{Code: "WRONG_HOST"}
)
