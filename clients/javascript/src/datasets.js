import { at } from './http.js';

const PATH = '/v1/datasets';

/** Data sets: built in, imported by the operator, uploaded. */
export class Datasets {
  #http;

  /** @param {import('./http.js').Http} http */
  constructor(http) {
    this.#http = http;
  }

  /**
   * @param {{limit?: number, offset?: number, sort?: string}} [options]
   * @returns {Promise<import('./pages.js').Page<import('./schemas.js').Dataset>>}
   */
  async list(options = {}) {
    return this.#http.page(PATH, options);
  }

  /**
   * @param {{sort?: string, pageSize?: number}} [options]
   * @returns {AsyncGenerator<import('./schemas.js').Dataset, void, void>}
   */
  iterate(options) {
    return this.#http.rows(PATH, options);
  }

  /**
   * A CSV file with a header line, or an NPZ file with arrays `x` and `y`. Throws `ValidationFailed` with what is wrong in it,
   * and where.
   *
   * - `name` of the data set; the file's, if it is not given
   * - `label`: the column of a CSV to learn; the last, if it is not given
   * - `filename`: where the file has no name; its ending says what it is
   *
   * @param {Blob | string} file
   * @param {{name?: string, label?: string, filename?: string, idempotencyKey?: string}} [options]
   * @returns {Promise<import('./schemas.js').Dataset>}
   */
  async upload(file, options = {}) {
    const { name, label, idempotencyKey } = options;
    const filename = options.filename ?? (file instanceof Blob && 'name' in file ? String(file.name) : 'data.csv');
    const content = file instanceof Blob ? file : new Blob([file], { type: 'text/csv' });
    const form = () => {
      const made = new FormData();
      if (name !== undefined) made.append('name', name);
      if (label !== undefined) made.append('label', label);
      made.append('file', content, filename);
      return made;
    };
    return this.#http.ask('POST', PATH, { form, idempotencyKey });
  }

  /**
   * Of a built-in or imported one the name is the id.
   *
   * @param {string} id
   * @returns {Promise<import('./schemas.js').Dataset>}
   */
  async get(id) {
    return this.#http.ask('GET', at(PATH, id));
  }

  /**
   * Samples by class, and the range, mean and spread of each feature.
   *
   * @param {string} id
   * @returns {Promise<Record<string, any>>}
   */
  async statistics(id) {
    return this.#http.ask('GET', at(PATH, id, 'statistics'));
  }

  /**
   * Models that learned from it stay.
   *
   * @param {string} id
   * @returns {Promise<void>}
   */
  async delete(id) {
    await this.#http.ask('DELETE', at(PATH, id));
  }
}
