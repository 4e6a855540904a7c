import { at } from './http.js';

const PATH = '/v1/circuits';

/** Circuits: store, import, find, draw, run, optimize, compare, change, delete, restore; their versions. */
export class Circuits {
  #http;

  /** @param {import('./http.js').Http} http */
  constructor(http) {
    this.#http = http;
  }

  /**
   * Store a circuit: `gates: [{type: 'RY', targets: [0], parameters: {theta: 'theta_0'}}]`. Throws `InvalidCircuit` with the
   * gate and its index.
   *
   * @param {import('./schemas.js').CircuitDraft} body
   * @param {{idempotencyKey?: string}} [options]
   * @returns {Promise<import('./schemas.js').Circuit>}
   */
  async create(body, options = {}) {
    return this.#http.ask('POST', PATH, { json: body, ...options });
  }

  /**
   * Store a circuit that is written otherwise: `format: 'qasm3'`, `qasm2`, `ionq` and so on. Throws `InvalidCircuit` with the line
   * and column of a text.
   *
   * @param {import('./schemas.js').CircuitImport} body
   * @param {{idempotencyKey?: string}} [options]
   * @returns {Promise<import('./schemas.js').Circuit>}
   */
  async import(body, options = {}) {
    return this.#http.ask('POST', `${PATH}/import`, { json: body, ...options });
  }

  /**
   * Circuits without their gates; those that have any of `tags`.
   *
   * @param {{tags?: string | string[], limit?: number, offset?: number, sort?: string}} [options]
   * @returns {Promise<import('./pages.js').Page<import('./schemas.js').CircuitSummary>>}
   */
  async list(options = {}) {
    return this.#http.page(PATH, options);
  }

  /**
   * @param {{tags?: string | string[], sort?: string, pageSize?: number}} [options]
   * @returns {AsyncGenerator<import('./schemas.js').CircuitSummary, void, void>}
   */
  iterate(options) {
    return this.#http.rows(PATH, options);
  }

  /**
   * @param {string} id
   * @returns {Promise<import('./schemas.js').Circuit>}
   */
  async get(id) {
    return this.#http.ask('GET', at(PATH, id));
  }

  /**
   * A circuit as `qasm3` or `qasm2` (a text), or as `unified`, `qstore4`, `ionq` or `ionq_native` (an object).
   *
   * @param {string} id
   * @param {string} format
   * @returns {Promise<any>}
   */
  async export(id, format) {
    const written = at(PATH, id);
    if (format === 'qasm2' || format === 'qasm3') return this.#http.text(written, { format });
    return this.#http.ask('GET', written, { query: { format } });
  }

  /**
   * As an SVG, or with `format: 'text'` in characters.
   *
   * @param {string} id
   * @param {{format?: 'svg' | 'text', theme?: 'light' | 'dark'}} [options]
   * @returns {Promise<string>}
   */
  async drawing(id, options = {}) {
    return this.#http.text(at(PATH, id, 'drawing'), options);
  }

  /**
   * Run a circuit once with a number for each of its symbols; without `shots` exactly.
   *
   * @param {string} id
   * @param {Partial<import('./schemas.js').ExecutionDraft>} [body]
   * @param {{idempotencyKey?: string}} [options]
   * @returns {Promise<import('./schemas.js').Execution>}
   */
  async run(id, body = {}, options = {}) {
    return this.#http.ask('POST', at(PATH, id, 'run'), { json: body, ...options });
  }

  /**
   * Store a smaller circuit that does the same, with a certificate that it does.
   *
   * @param {string} id
   * @param {import('./schemas.js').OptimisationDraft} [body]
   * @param {{idempotencyKey?: string}} [options]
   * @returns {Promise<import('./schemas.js').Optimised>}
   */
  async optimize(id, body = {}, options = {}) {
    return this.#http.ask('POST', at(PATH, id, 'optimize'), { json: body, ...options });
  }

  /**
   * Whether two circuits do the same up to a phase, or a state that tells them apart; and what they differ in.
   *
   * @param {string} a
   * @param {string} b
   * @returns {Promise<import('./schemas.js').Compared>}
   */
  async compare(a, b) {
    return this.#http.ask('POST', `${PATH}/compare`, { json: { a, b } });
  }

  /**
   * What it was before each change of its gates, without them; the newest first.
   *
   * @param {string} id
   * @param {{limit?: number, offset?: number, sort?: string}} [options]
   * @returns {Promise<import('./pages.js').Page<import('./schemas.js').CircuitVersion>>}
   */
  async versions(id, options = {}) {
    return this.#http.page(at(PATH, id, 'versions'), options);
  }

  /**
   * What it was in one of its versions.
   *
   * @param {string} id
   * @param {number} version
   * @returns {Promise<import('./schemas.js').WholeCircuitVersion>}
   */
  async version(id, version) {
    return this.#http.ask('GET', at(PATH, id, 'versions', String(version)));
  }

  /**
   * The gates that only one of two versions has: of the first and the present one, unless others are named.
   *
   * @param {string} id
   * @param {{a?: number, b?: number}} [options]
   * @returns {Promise<import('./schemas.js').VersionDifference>}
   */
  async diff(id, options = {}) {
    return this.#http.ask('GET', at(PATH, id, 'diff'), { query: options });
  }

  /**
   * Change what is given and leave the rest; new gates make a new version.
   *
   * @param {string} id
   * @param {import('./schemas.js').CircuitPatch} body
   * @returns {Promise<import('./schemas.js').Circuit>}
   */
  async update(id, body) {
    return this.#http.ask('PATCH', at(PATH, id), { json: body });
  }

  /**
   * For 24 hours it can be restored.
   *
   * @param {string} id
   * @returns {Promise<void>}
   */
  async delete(id) {
    await this.#http.ask('DELETE', at(PATH, id));
  }

  /**
   * @param {string} id
   * @returns {Promise<import('./schemas.js').Circuit>}
   */
  async restore(id) {
    return this.#http.ask('POST', at(PATH, id, 'restore'));
  }
}
