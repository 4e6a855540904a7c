import { at } from './http.js';

const PATH = '/v1/roles';

/** Roles of your organization: the four, and those that it has made. */
export class Roles {
  #http;

  /** @param {import('./http.js').Http} http */
  constructor(http) {
    this.#http = http;
  }

  /**
   * Make one out of permissions that you have, such as `jobs:submit` or `circuits:*`.
   *
   * @param {import('./schemas.js').RoleDraft} body
   * @param {{idempotencyKey?: string}} [options]
   * @returns {Promise<import('./schemas.js').OrganizationRole>}
   */
  async create(body, options = {}) {
    return this.#http.ask('POST', PATH, { json: body, ...options });
  }

  /**
   * The four first, then your organization's own.
   *
   * @returns {Promise<import('./schemas.js').OrganizationRole[]>}
   */
  async list() {
    return this.#http.ask('GET', PATH);
  }

  /**
   * @param {string} name
   * @returns {Promise<import('./schemas.js').OrganizationRole>}
   */
  async get(name) {
    return this.#http.ask('GET', at(PATH, name));
  }

  /**
   * What is given replaces what was; it counts at once for everybody who has the role.
   *
   * @param {string} name
   * @param {import('./schemas.js').RolePatch} body
   * @returns {Promise<import('./schemas.js').OrganizationRole>}
   */
  async update(name, body) {
    return this.#http.ask('PATCH', at(PATH, name), { json: body });
  }

  /**
   * One that nobody has or is invited to.
   *
   * @param {string} name
   * @returns {Promise<void>}
   */
  async delete(name) {
    await this.#http.ask('DELETE', at(PATH, name));
  }
}
