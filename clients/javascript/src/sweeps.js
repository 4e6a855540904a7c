import { at } from './http.js';

const PATH = '/v1/sweeps';

/** Sweeps: a job for each combination of the lists in `config`. */
export class Sweeps {
  #http;

  /** @param {import('./http.js').Http} http */
  constructor(http) {
    this.#http = http;
  }

  /**
   * At most 100 jobs; `budget_limit` is that of each.
   *
   * @param {import('./schemas.js').SweepDraft} body
   * @param {{idempotencyKey?: string}} [options]
   * @returns {Promise<import('./schemas.js').Sweep>}
   */
  async submit(body, options = {}) {
    return this.#http.ask('POST', PATH, { json: body, ...options });
  }

  /**
   * @param {{limit?: number, offset?: number, sort?: string}} [options]
   * @returns {Promise<import('./pages.js').Page<import('./schemas.js').SweepSummary>>}
   */
  async list(options = {}) {
    return this.#http.page(PATH, options);
  }

  /**
   * @param {{sort?: string, pageSize?: number}} [options]
   * @returns {AsyncGenerator<import('./schemas.js').SweepSummary, void, void>}
   */
  iterate(options) {
    return this.#http.rows(PATH, options);
  }

  /**
   * How far it is, and its jobs, the best first.
   *
   * @param {string} id
   * @returns {Promise<import('./schemas.js').Sweep>}
   */
  async get(id) {
    return this.#http.ask('GET', at(PATH, id));
  }

  /**
   * Cancel every job that has not ended.
   *
   * @param {string} id
   * @returns {Promise<import('./schemas.js').Sweep>}
   */
  async cancel(id) {
    return this.#http.ask('POST', at(PATH, id, 'cancel'));
  }
}
