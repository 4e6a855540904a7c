/** What can go wrong, by the server's stable codes. A code that this client does not know yet is an `APIError`. */

/** Something went wrong. */
export class QStoreError extends Error {
  /** @param {string} message @param {{cause?: unknown}} [options] */
  constructor(message, options) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** The server could not be reached, as often as it was tried. */
export class ConnectionFailed extends QStoreError {}

/** What answered is no Q-Store server, or one that is older than this client. */
export class UnexpectedAnswer extends QStoreError {}

/** A job that was waited for did not complete. */
export class JobFailed extends QStoreError {
  /** @param {import('./schemas.js').Job} job */
  constructor(job) {
    super(`Job ${job.id} is ${job.status}${job.reason ? `: ${job.reason}` : '.'}`);
    this.job = job;
  }
}

/** A deployment that was waited for does not answer. */
export class DeploymentFailed extends QStoreError {}

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
  constructor(fault, answer = {}) {
    super(`${fault.code}: ${fault.message}`);
    this.code = fault.code;
    this.details = fault.details ?? {};
    this.status = answer.status ?? null;
    this.requestId = answer.requestId ?? null;
    this.retryAfter = answer.retryAfter ?? null;
  }
}

export class Malformed extends APIError {}
export class Unauthenticated extends APIError {}
export class SecondFactorRequired extends Unauthenticated {}
export class Forbidden extends APIError {}
export class HardwareForbidden extends Forbidden {}
export class BudgetExceeded extends APIError {}
export class NotFound extends APIError {}
export class MethodNotAllowed extends APIError {}
export class Gone extends APIError {}
export class Conflict extends APIError {}
export class ArtifactCorrupt extends Conflict {}
export class LastOwner extends Conflict {}
export class SignatureInvalid extends Conflict {}
/** `details.fingerprint` names the key. */
export class SignerUnknown extends Conflict {}
export class PreconditionFailed extends APIError {}
export class TooLarge extends APIError {}
export class UnsupportedMediaType extends APIError {}
export class WrongHost extends APIError {}
/** `details.errors` names each field: `[{field, message}]`. */
export class ValidationFailed extends APIError {}
export class InvalidCircuit extends APIError {}
export class InsufficientMemory extends APIError {}
export class BackendCannot extends APIError {}
export class DatasetMissing extends APIError {}
export class WebhookForbidden extends APIError {}
export class RateLimited extends APIError {}
export class Unavailable extends APIError {}
export class BackendUnavailable extends Unavailable {}
export class NoCapacity extends Unavailable {}
export class DeadlineExceeded extends APIError {}
export class StorageFull extends APIError {}
export class BackendBadResponse extends APIError {}
export class WorkerCrash extends APIError {}
export class WorkerOutOfMemory extends APIError {}
export class Diverged extends APIError {}
export class Cancelled extends APIError {}
export class Internal extends APIError {}

/** @type {Readonly<Record<string, typeof APIError>>} */
export const BY_CODE = Object.freeze({
  MALFORMED: Malformed,
  UNAUTHENTICATED: Unauthenticated,
  SECOND_FACTOR_REQUIRED: SecondFactorRequired,
  FORBIDDEN: Forbidden,
  HARDWARE_FORBIDDEN: HardwareForbidden,
  BUDGET_EXCEEDED: BudgetExceeded,
  NOT_FOUND: NotFound,
  METHOD_NOT_ALLOWED: MethodNotAllowed,
  GONE: Gone,
  CONFLICT: Conflict,
  ARTIFACT_CORRUPT: ArtifactCorrupt,
  LAST_OWNER: LastOwner,
  SIGNATURE_INVALID: SignatureInvalid,
  SIGNER_UNKNOWN: SignerUnknown,
  PRECONDITION_FAILED: PreconditionFailed,
  TOO_LARGE: TooLarge,
  UNSUPPORTED_MEDIA_TYPE: UnsupportedMediaType,
  WRONG_HOST: WrongHost,
  VALIDATION_ERROR: ValidationFailed,
  INVALID_CIRCUIT: InvalidCircuit,
  INSUFFICIENT_MEMORY: InsufficientMemory,
  BACKEND_CANNOT: BackendCannot,
  DATASET_MISSING: DatasetMissing,
  WEBHOOK_FORBIDDEN: WebhookForbidden,
  RATE_LIMITED: RateLimited,
  UNAVAILABLE: Unavailable,
  BACKEND_UNAVAILABLE: BackendUnavailable,
  NO_CAPACITY: NoCapacity,
  DEADLINE: DeadlineExceeded,
  STORAGE_FULL: StorageFull,
  BACKEND_BAD_RESPONSE: BackendBadResponse,
  WORKER_CRASH: WorkerCrash,
  WORKER_OOM: WorkerOutOfMemory,
  DIVERGED: Diverged,
  CANCELLED: Cancelled,
  INTERNAL: Internal,
});

/**
 * The error of a code.
 *
 * @param {{code: string, message: string, details?: Record<string, any> | null}} fault
 * @param {{status?: number | null, requestId?: string | null, retryAfter?: number | null}} [answer]
 * @returns {APIError}
 */
export function apiError(fault, answer) {
  const kind = Object.hasOwn(BY_CODE, fault.code) ? BY_CODE[fault.code] : APIError;
  return new kind(fault, answer);
}
