import { at } from './http.js';

const PATH = '/downloads';

/** Packages that the server offers to machines without internet. */
export class Downloads {
  #http;

  /** @param {import('./http.js').Http} http */
  constructor(http) {
    this.#http = http;
  }

  /** @returns {Promise<import('./schemas.js').Download[]>} */
  async list() {
    return this.#http.ask('GET', PATH);
  }

  /**
   * @param {string} name
   * @returns {Promise<ArrayBuffer>}
   */
  async get(name) {
    return (await this.#http.send('GET', at(PATH, name))).arrayBuffer();
  }
}
