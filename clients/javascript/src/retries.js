/** What is tried again, and after how long. */

/** Statuses that a proxy answers in the server's place while that restarts. */
export const PROXIES = new Set([502, 503, 504]);
/** The longest pause between two attempts of our own choosing, in seconds. */
const LONGEST = 8;

/**
 * Seconds before another attempt: half a second, one, two and so on, each up to a quarter shorter by chance.
 *
 * @param {number} attempt
 */
export function pause(attempt) {
  return Math.min(LONGEST, 0.5 * 2 ** attempt) * (0.75 + Math.random() / 4);
}

/**
 * Seconds after which a refused request may do better; null where it would be refused again.
 *
 * @param {import('./errors.js').APIError} refused
 * @param {number} attempt
 * @param {number} longest More than that the caller does not want to wait.
 */
export function pauseAfter(refused, attempt, longest) {
  // Of a conflict only where the first of two requests with one idempotency key is still at it.
  if (refused.code === 'CONFLICT') return refused.retryAfter;
  if (refused.retryAfter !== null) return refused.retryAfter <= longest ? refused.retryAfter : null;
  return refused.code === 'UNAVAILABLE' || refused.code === 'RATE_LIMITED' ? pause(attempt) : null;
}

/** @param {number} seconds */
export function sleep(seconds) {
  return new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
}
