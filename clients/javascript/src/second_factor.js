const PATH = '/v1/users/me/second-factor';

/** The second factor of your sign-in: codes of an authenticator. */
export class SecondFactors {
  #http;

  /** @param {import('./http.js').Http} http */
  constructor(http) {
    this.#http = http;
  }

  /**
   * @returns {Promise<import('./schemas.js').SecondFactor>}
   */
  async get() {
    return this.#http.ask('GET', PATH);
  }

  /**
   * A secret for an authenticator; it counts once `confirm` has seen a code of it.
   *
   * @param {import('./schemas.js').EnrolmentDraft} body
   * @returns {Promise<import('./schemas.js').Enrolment>}
   */
  async enrol(body) {
    return this.#http.ask('POST', PATH, { json: body });
  }

  /**
   * Recovery codes, which are shown this once.
   *
   * @param {import('./schemas.js').ConfirmationDraft} body
   * @returns {Promise<import('./schemas.js').RecoveryCodes>}
   */
  async confirm(body) {
    return this.#http.ask('POST', `${PATH}/confirm`, { json: body });
  }

  /**
   * @param {import('./schemas.js').RemovalDraft} body
   * @returns {Promise<import('./schemas.js').RecoveryCodes>}
   */
  async renewRecoveryCodes(body) {
    return this.#http.ask('POST', `${PATH}/recovery-codes`, { json: body });
  }

  /**
   * @param {import('./schemas.js').RemovalDraft} body
   * @returns {Promise<void>}
   */
  async remove(body) {
    await this.#http.ask('POST', `${PATH}/remove`, { json: body });
  }
}
