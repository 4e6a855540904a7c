import { at } from './http.js';

const PATH = '/v1/sessions';

/** Where you are signed in. */
export class Sessions {
  #http;

  /** @param {import('./http.js').Http} http */
  constructor(http) {
    this.#http = http;
  }

  /**
   * @param {{user_id?: string, limit?: number, offset?: number, sort?: string}} [options]
   * @returns {Promise<import('./pages.js').Page<import('./schemas.js').Session>>}
   */
  async list(options = {}) {
    return this.#http.page(PATH, options);
  }

  /**
   * @param {{user_id?: string, sort?: string, pageSize?: number}} [options]
   * @returns {AsyncGenerator<import('./schemas.js').Session, void, void>}
   */
  iterate(options) {
    return this.#http.rows(PATH, options);
  }

  /**
   * @param {string} id
   * @returns {Promise<void>}
   */
  async end(id) {
    await this.#http.ask('DELETE', at(PATH, id));
  }

  /**
   * End every session of yours but the one that asks.
   * @returns {Promise<import('./schemas.js').Ended>}
   */
  async endOthers() {
    return this.#http.ask('DELETE', PATH);
  }
}
