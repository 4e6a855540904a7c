import { at } from './http.js';

const PATH = '/v1/users';

/** Who you are, and the people of your organization. */
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

  /**
   * The people of your organization, those who are kept out included.
   *
   * @param {{role?: string, limit?: number, offset?: number, sort?: string}} [options]
   * @returns {Promise<import('./pages.js').Page<import('./schemas.js').Member>>}
   */
  async list(options = {}) {
    return this.#http.page(PATH, options);
  }

  /**
   * @param {{role?: string, sort?: string, pageSize?: number}} [options]
   * @returns {AsyncGenerator<import('./schemas.js').Member, void, void>}
   */
  iterate(options) {
    return this.#http.rows(PATH, options);
  }

  /**
   * @param {string} id
   * @returns {Promise<import('./schemas.js').Member>}
   */
  async get(id) {
    return this.#http.ask('GET', at(PATH, id));
  }

  /**
   * Give somebody another role, keep them out, or let them in again.
   *
   * @param {string} id
   * @param {import('./schemas.js').MemberPatch} body
   * @returns {Promise<import('./schemas.js').Member>}
   */
  async update(id, body) {
    return this.#http.ask('PATCH', at(PATH, id), { json: body });
  }

  /**
   * Remove somebody from your organization, or leave it yourself.
   *
   * @param {string} id
   * @returns {Promise<void>}
   */
  async remove(id) {
    await this.#http.ask('DELETE', at(PATH, id));
  }
}
