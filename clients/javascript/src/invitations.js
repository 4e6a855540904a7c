import { at } from './http.js';

const PATH = '/v1/invitations';

/** Invitations to your organization. */
export class Invitations {
  #http;

  /** @param {import('./http.js').Http} http */
  constructor(http) {
    this.#http = http;
  }

  /**
   * `link` of the answer is shown this once; it is mailed too, where the server has a mail server.
   *
   * @param {import('./schemas.js').InvitationDraft} body
   * @param {{idempotencyKey?: string}} [options]
   * @returns {Promise<import('./schemas.js').Invitation>}
   */
  async create(body, options = {}) {
    return this.#http.ask('POST', PATH, { json: body, ...options });
  }

  /**
   * @param {{status?: string, limit?: number, offset?: number, sort?: string}} [options]
   * @returns {Promise<import('./pages.js').Page<import('./schemas.js').Invitation>>}
   */
  async list(options = {}) {
    return this.#http.page(PATH, options);
  }

  /**
   * @param {{status?: string, sort?: string, pageSize?: number}} [options]
   * @returns {AsyncGenerator<import('./schemas.js').Invitation, void, void>}
   */
  iterate(options) {
    return this.#http.rows(PATH, options);
  }

  /**
   * @param {string} id
   * @returns {Promise<void>}
   */
  async revoke(id) {
    await this.#http.ask('DELETE', at(PATH, id));
  }

  /**
   * What a link offers; `token` is what stands behind its `#`.
   *
   * @param {import('./schemas.js').LinkDraft} body
   * @returns {Promise<import('./schemas.js').Offer>}
   */
  async offer(body) {
    return this.#http.ask('POST', `${PATH}/offer`, { json: body });
  }

  /**
   * Become a member; then sign in. `password` is that of the new account, or of the one that the address has already.
   *
   * @param {import('./schemas.js').AcceptDraft} body
   * @returns {Promise<import('./schemas.js').Accepted>}
   */
  async accept(body) {
    return this.#http.ask('POST', `${PATH}/accept`, { json: body });
  }

  /**
   * Become a member as who is signed in; then `auth.switch`.
   *
   * @param {import('./schemas.js').LinkDraft} body
   * @param {{idempotencyKey?: string}} [options]
   * @returns {Promise<import('./schemas.js').Accepted>}
   */
  async join(body, options = {}) {
    return this.#http.ask('POST', `${PATH}/join`, { json: body, ...options });
  }
}
