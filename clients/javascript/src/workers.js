const PATH = '/v1/workers';

/** Machines that take jobs, for their operator. */
export class Workers {
  #http;

  /** @param {import('./http.js').Http} http */
  constructor(http) {
    this.#http = http;
  }

  /**
   * @param {{limit?: number, offset?: number, sort?: string}} [options]
   * @returns {Promise<import('./pages.js').Page<import('./schemas.js').Worker>>}
   */
  async list(options = {}) {
    return this.#http.page(PATH, options);
  }

  /**
   * @param {{sort?: string, pageSize?: number}} [options]
   * @returns {AsyncGenerator<import('./schemas.js').Worker, void, void>}
   */
  iterate(options) {
    return this.#http.rows(PATH, options);
  }
}
