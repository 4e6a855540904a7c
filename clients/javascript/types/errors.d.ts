/**
 * The error of a code.
 *
 * @param {{code: string, message: string, details?: Record<string, any> | null}} fault
 * @param {{status?: number | null, requestId?: string | null, retryAfter?: number | null}} [answer]
 * @returns {APIError}
 */
export function apiError(fault: {
    code: string;
    message: string;
    details?: Record<string, any> | null;
}, answer?: {
    status?: number | null;
    requestId?: string | null;
    retryAfter?: number | null;
}): APIError;
/** What can go wrong, by the server's stable codes. A code that this client does not know yet is an `APIError`. */
/** Something went wrong. */
export class QStoreError extends Error {
    /** @param {string} message @param {{cause?: unknown}} [options] */
    constructor(message: string, options?: {
        cause?: unknown;
    });
}
/** The server could not be reached, as often as it was tried. */
export class ConnectionFailed extends QStoreError {
}
/** What answered is no Q-Store server, or one that is older than this client. */
export class UnexpectedAnswer extends QStoreError {
}
/** A job that was waited for did not complete. */
export class JobFailed extends QStoreError {
    /** @param {import('./schemas.js').Job} job */
    constructor(job: import("./schemas.js").Job);
    job: import("./schemas.js").Job;
}
/** A deployment that was waited for does not answer. */
export class DeploymentFailed extends QStoreError {
}
/**
 * The server refused.
 *
 * - `code`: stable, such as `NOT_FOUND`; `message` is for people
 * - `details`: what the code has: `errors` of `VALIDATION_ERROR`, `limit` of `BUDGET_EXCEEDED` and so on
 * - `status`: of HTTP; null where it came over a live channel
 * - `requestId`: as it stands in the server's log
 * - `retryAfter`: seconds, where the server says when to come back
 */
export class APIError extends QStoreError {
    /**
     * @param {{code: string, message: string, details?: Record<string, any> | null}} fault
     * @param {{status?: number | null, requestId?: string | null, retryAfter?: number | null}} [answer]
     */
    constructor(fault: {
        code: string;
        message: string;
        details?: Record<string, any> | null;
    }, answer?: {
        status?: number | null;
        requestId?: string | null;
        retryAfter?: number | null;
    });
    code: string;
    details: Record<string, any>;
    status: number | null;
    requestId: string | null;
    retryAfter: number | null;
}
export class Malformed extends APIError {
}
export class Unauthenticated extends APIError {
}
export class SecondFactorRequired extends Unauthenticated {
}
export class Forbidden extends APIError {
}
export class HardwareForbidden extends Forbidden {
}
export class BudgetExceeded extends APIError {
}
export class NotFound extends APIError {
}
export class MethodNotAllowed extends APIError {
}
export class Gone extends APIError {
}
export class Conflict extends APIError {
}
export class ArtifactCorrupt extends Conflict {
}
export class LastOwner extends Conflict {
}
export class SignatureInvalid extends Conflict {
}
/** `details.fingerprint` names the key. */
export class SignerUnknown extends Conflict {
}
export class PreconditionFailed extends APIError {
}
export class TooLarge extends APIError {
}
export class UnsupportedMediaType extends APIError {
}
export class WrongHost extends APIError {
}
/** `details.errors` names each field: `[{field, message}]`. */
export class ValidationFailed extends APIError {
}
export class InvalidCircuit extends APIError {
}
export class InsufficientMemory extends APIError {
}
export class BackendCannot extends APIError {
}
export class DatasetMissing extends APIError {
}
export class WebhookForbidden extends APIError {
}
export class RateLimited extends APIError {
}
export class Unavailable extends APIError {
}
export class BackendUnavailable extends Unavailable {
}
export class NoCapacity extends Unavailable {
}
export class DeadlineExceeded extends APIError {
}
export class StorageFull extends APIError {
}
export class BackendBadResponse extends APIError {
}
export class WorkerCrash extends APIError {
}
export class WorkerOutOfMemory extends APIError {
}
export class Diverged extends APIError {
}
export class Cancelled extends APIError {
}
export class Internal extends APIError {
}
/** @type {Readonly<Record<string, typeof APIError>>} */
export const BY_CODE: Readonly<Record<string, typeof APIError>>;
