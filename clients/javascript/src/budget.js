const PATH = '/v1/budget';

/** The month's budget. */
export class Budget {
  #http;

  /** @param {import('./http.js').Http} http */
  constructor(http) {
    this.#http = http;
  }

  /**
   * The limit, what is spent and reserved of it, and where the month is heading.
   * @returns {Promise<import('./schemas.js').Budget>}
   */
  async get() {
    return this.#http.ask('GET', PATH);
  }

  /**
   * `monthly_limit` in US dollars, null for no limit; alerts that were there stay, if none are given.
   *
   * @param {import('./schemas.js').BudgetDraft} body
   * @returns {Promise<import('./schemas.js').Budget>}
   */
  async update(body) {
    return this.#http.ask('PUT', PATH, { json: body });
  }

  /**
   * Send a test message to every destination of the alerts.
   * @returns {Promise<import('./schemas.js').SentLetter[]>}
   */
  async testAlerts() {
    return this.#http.ask('POST', `${PATH}/alerts/test`);
  }
}
