/**
 * Seconds before another attempt: half a second, one, two and so on, each up to a quarter shorter by chance.
 *
 * @param {number} attempt
 */
export function pause(attempt: number): number;
/**
 * Seconds after which a refused request may do better; null where it would be refused again.
 *
 * @param {import('./errors.js').APIError} refused
 * @param {number} attempt
 * @param {number} longest More than that the caller does not want to wait.
 */
export function pauseAfter(refused: import("./errors.js").APIError, attempt: number, longest: number): number | null;
/** @param {number} seconds */
export function sleep(seconds: number): Promise<any>;
/** What is tried again, and after how long. */
/** Statuses that a proxy answers in the server's place while that restarts. */
export const PROXIES: Set<number>;
