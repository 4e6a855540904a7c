import { at } from './http.js';

const PATH = '/v1/api-keys';

/** API keys. */
export class ApiKeys {
  #http;

  /** @param {import('./http.js').Http} http */
  constructor(http) {
    this.#http = http;
  }

  /**
   * `key` of the answer is shown this once. It is null only where the first answer was lost on the way and the request was
   * sent again: then revoke that key and make another.
   *
   * @param {import('./schemas.js').ApiKeyDraft} body
   * @param {{idempotencyKey?: string}} [options]
   * @returns {Promise<import('./schemas.js').ApiKey>}
   */
  async create(body, options = {}) {
    return this.#http.ask('POST', PATH, { json: body, ...options });
  }

  /**
   * @param {{limit?: number, offset?: number, sort?: string}} [options]
   * @returns {Promise<import('./pages.js').Page<import('./schemas.js').ApiKey>>}
   */
  async list(options = {}) {
    return this.#http.page(PATH, options);
  }

  /**
   * @param {{sort?: string, pageSize?: number}} [options]
   * @returns {AsyncGenerator<import('./schemas.js').ApiKey, void, void>}
   */
  iterate(options) {
    return this.#http.rows(PATH, options);
  }

  /**
   * @param {string} id
   * @returns {Promise<void>}
   */
  async revoke(id) {
    await this.#http.ask('DELETE', at(PATH, id));
  }
}
