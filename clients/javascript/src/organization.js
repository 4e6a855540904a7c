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

  /**
   * Change it; what is not given stays.
   *
   * @param {import('./schemas.js').OrganizationPatch} body
   * @returns {Promise<import('./schemas.js').Organization>}
   */
  async update(body) {
    return this.#http.ask('PATCH', '/v1/organization', { json: body });
  }

  /**
   * All that you belong to, and which of them you act in.
   * @returns {Promise<import('./schemas.js').OwnOrganization[]>}
   */
  async mine() {
    return this.#http.ask('GET', '/v1/organizations');
  }

  /**
   * Make another member its owner. You are an administrator afterwards.
   *
   * @param {import('./schemas.js').TransferDraft} body
   * @param {{idempotencyKey?: string}} [options]
   * @returns {Promise<import('./schemas.js').Member>}
   */
  async transfer(body, options = {}) {
    return this.#http.ask('POST', '/v1/organization/transfer', { json: body, ...options });
  }
}
