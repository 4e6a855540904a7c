/** Your organization. */
export class Organizations {
  #http;

  /** @param {import('./http.js').Http} http */
  constructor(http) {
    this.#http = http;
  }

  /**
   * @returns {Promise<import('./schemas.js').Organization>}
   */
  async get() {
    return this.#http.ask('GET', '/v1/organization');
  }
}
