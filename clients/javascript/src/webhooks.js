const PATH = '/v1/webhooks/secret';

/** What your organization's webhooks are signed with. */
export class Webhooks {
  #http;

  /** @param {import('./http.js').Http} http */
  constructor(http) {
    this.#http = http;
  }

  /**
   * @returns {Promise<import('./schemas.js').WebhookSecret>}
   */
  async secret() {
    return this.#http.ask('GET', PATH);
  }

  /**
   * Everything that is sent from now on is signed with the new one.
   * @returns {Promise<import('./schemas.js').WebhookSecret>}
   */
  async renewSecret() {
    return this.#http.ask('POST', PATH);
  }
}
