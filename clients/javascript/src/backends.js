import { at } from './http.js';

const PATH = '/v1/backends';

/** Backends: what runs circuits here. */
export class Backends {
  #http;
  #events;

  /** @param {import('./http.js').Http} http @param {import('./events.js').Events} events */
  constructor(http, events) {
    this.#http = http;
    this.#events = events;
  }

  /**
   * Every backend that is installed, with the reason where one cannot be used.
   *
   * @param {{status?: string, limit?: number, offset?: number, sort?: string}} [options]
   * @returns {Promise<import('./pages.js').Page<import('./schemas.js').Backend>>}
   */
  async list(options = {}) {
    return this.#http.page(PATH, options);
  }

  /**
   * @param {{status?: string, sort?: string, pageSize?: number}} [options]
   * @returns {AsyncGenerator<import('./schemas.js').Backend, void, void>}
   */
  iterate(options) {
    return this.#http.rows(PATH, options);
  }

  /**
   * @param {string} id
   * @returns {Promise<import('./schemas.js').Backend>}
   */
  async get(id) {
    return this.#http.ask('GET', at(PATH, id));
  }

  /**
   * How it is doing now.
   *
   * @param {string} id
   * @returns {Promise<import('./schemas.js').BackendHealth>}
   */
  async status(id) {
    return this.#http.ask('GET', at(PATH, id, 'status'));
  }

  /**
   * Each change of its status, until you stop listening.
   *
   * @param {string} id
   * @param {Omit<import('./events.js').Listening, 'about'>} [options]
   * @returns {AsyncGenerator<import('./schemas.js').BackendUpdate, void, void>}
   */
  streamStatus(id, options) {
    return this.#events.of('backend.status', { ...options, about: id });
  }
}
