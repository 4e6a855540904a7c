/** Signing in and out, where no API key does it. */
export class Auth {
  #http;

  /** @param {import('./http.js').Http} http */
  constructor(http) {
    this.#http = http;
  }

  /**
   * From now on as that user. Tokens are renewed by themselves. Throws `Unauthenticated` where that is wrong,
   * `SecondFactorRequired` where a code is asked for.
   *
   * @param {string} email
   * @param {string} password
   * @param {string} [code]
   * @returns {Promise<import('./schemas.js').Tokens>}
   */
  async signIn(email, password, code) {
    return this.#http.signIn(email, password, code);
  }

  /**
   * To another of your organizations, from now on. The session that asks ends.
   *
   * @param {import('./schemas.js').SwitchDraft} body
   * @returns {Promise<import('./schemas.js').Tokens>}
   */
  async switch(body) {
    return this.#http.take(await this.#http.ask('POST', '/v1/auth/switch', { json: body }));
  }

  /**
   * End the session, its refresh tokens included.
   * @returns {Promise<void>}
   */
  async logout() {
    await this.#http.ask('POST', '/v1/auth/logout');
    this.#http.forget();
  }

  /**
   * Have a link mailed that sets another password; nobody is told whether there is such a user.
   *
   * @param {string} email
   * @returns {Promise<void>}
   */
  async forgotPassword(email) {
    await this.#http.ask('POST', '/v1/auth/password-reset', { json: { email } });
  }

  /**
   * Set another password with the token of such a link.
   *
   * @param {import('./schemas.js').Reset} body
   * @returns {Promise<void>}
   */
  async resetPassword(body) {
    await this.#http.ask('POST', '/v1/auth/password-reset/confirm', { json: body });
  }
}
