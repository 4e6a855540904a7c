const PATH = '/v1/audit';

/** Who did what in your organization. */
export class Audit {
  #http;

  /** @param {import('./http.js').Http} http */
  constructor(http) {
    this.#http = http;
  }

  /**
   * The newest first. `action` is an act, or a family such as `api_key`; `q` a text in actor, subject or details.
   *
   * @param {{action?: string, actor?: string, subject?: string, address?: string, since?: string, until?: string, q?: string, installation?: boolean, limit?: number, offset?: number, sort?: string}} [options]
   * @returns {Promise<import('./pages.js').Page<import('./schemas.js').AuditEntry>>}
   */
  async list(options = {}) {
    return this.#http.page(PATH, options);
  }

  /**
   * @param {{action?: string, actor?: string, subject?: string, address?: string, since?: string, until?: string, q?: string, installation?: boolean, sort?: string, pageSize?: number}} [options]
   * @returns {AsyncGenerator<import('./schemas.js').AuditEntry, void, void>}
   */
  iterate(options) {
    return this.#http.rows(PATH, options);
  }

  /**
   * All of it as a file, the oldest first.
   *
   * @param {{format?: 'jsonl' | 'csv', installation?: boolean}} [options]
   * @returns {Promise<string>}
   */
  async export({ format = 'jsonl', installation } = {}) {
    return this.#http.text(PATH, { format, installation });
  }

  /**
   * Whether every entry is there, in its place and unchanged.
   *
   * @param {{installation?: boolean}} [options]
   * @returns {Promise<import('./schemas.js').AuditVerification>}
   */
  async verify(options = {}) {
    return this.#http.ask('GET', `${PATH}/verify`, { query: options });
  }
}
