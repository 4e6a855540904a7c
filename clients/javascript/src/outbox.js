import { at } from './http.js';

const PATH = '/v1/outbox';

/** Messages to people and programs outside. */
export class Outbox {
  #http;

  /** @param {import('./http.js').Http} http */
  constructor(http) {
    this.#http = http;
  }

  /**
   * `status: 'dead'` are those that nobody took.
   *
   * @param {{status?: string, limit?: number, offset?: number, sort?: string}} [options]
   * @returns {Promise<import('./pages.js').Page<import('./schemas.js').Letter>>}
   */
  async list(options = {}) {
    return this.#http.page(PATH, options);
  }

  /**
   * @param {{status?: string, sort?: string, pageSize?: number}} [options]
   * @returns {AsyncGenerator<import('./schemas.js').Letter, void, void>}
   */
  iterate(options) {
    return this.#http.rows(PATH, options);
  }

  /**
   * Try a message now.
   *
   * @param {string} id
   * @returns {Promise<import('./schemas.js').Letter>}
   */
  async retry(id) {
    return this.#http.ask('POST', at(PATH, id, 'retry'));
  }
}
