/** Whether the server is there, and what it says about itself. */
export class Probes {
  #http;

  /** @param {import('./http.js').Http} http */
  constructor(http) {
    this.#http = http;
  }

  /**
   * @returns {Promise<import('./schemas.js').Health>}
   */
  async health() {
    return (await this.#http.send('GET', '/health')).json();
  }

  /**
   * Throws `Unavailable` where a part does not answer.
   * @returns {Promise<import('./schemas.js').Readiness>}
   */
  async ready() {
    return (await this.#http.send('GET', '/ready')).json();
  }

  /**
   * The server's description of itself.
   * @returns {Promise<Record<string, any>>}
   */
  async openapi() {
    return (await this.#http.send('GET', '/openapi.json')).json();
  }
}
