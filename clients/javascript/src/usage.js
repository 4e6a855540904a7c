const PATH = '/v1/usage';

/** What was used and what it cost. */
export class Usage {
  #http;

  /** @param {import('./http.js').Http} http */
  constructor(http) {
    this.#http = http;
  }

  /**
   * By `day`, `backend`, `user` or `project`; without dates the month so far.
   *
   * @param {{start_date?: string, end_date?: string, group_by?: string}} [options]
   * @returns {Promise<import('./schemas.js').Usage>}
   */
  async get(options = {}) {
    return this.#http.ask('GET', PATH, { query: options });
  }

  /**
   * @param {{start_date?: string, end_date?: string, group_by?: string}} [options]
   * @returns {Promise<string>}
   */
  async csv(options = {}) {
    return this.#http.text(PATH, { ...options, format: 'csv' });
  }
}
