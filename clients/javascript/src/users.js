/** Who you are. */
export class Users {
  #http;

  /** @param {import('./http.js').Http} http */
  constructor(http) {
    this.#http = http;
  }

  /**
   * Who you are, what you may do, and your API keys, masked.
   * @returns {Promise<import('./schemas.js').Profile>}
   */
  async me() {
    return this.#http.ask('GET', '/v1/users/me');
  }

  /**
   * Change your name or preferences, such as `default_backend`.
   *
   * @param {import('./schemas.js').ProfilePatch} body
   * @returns {Promise<import('./schemas.js').Profile>}
   */
  async updateMe(body) {
    return this.#http.ask('PATCH', '/v1/users/me', { json: body });
  }

  /**
   * Every other session of yours ends.
   *
   * @param {import('./schemas.js').PasswordChange} body
   * @returns {Promise<void>}
   */
  async changePassword(body) {
    await this.#http.ask('POST', '/v1/users/me/password', { json: body });
  }
}
