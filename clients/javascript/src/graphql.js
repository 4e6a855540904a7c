import { apiError } from './errors.js';

const PATH = '/graphql';

/** GraphQL, for questions that REST needs several requests for. */
export class GraphQL {
  #http;

  /** @param {import('./http.js').Http} http */
  constructor(http) {
    this.#http = http;
  }

  /**
   * `data` of a query, or of a document of mutations. Throws `APIError` by the code of the first error; its `details.errors` has
   * them all, `details.data` what there was beside.
   *
   * @param {string} query
   * @param {Record<string, any>} [variables]
   * @param {{idempotencyKey?: string}} [options]
   * @returns {Promise<any>}
   */
  async query(query, variables = {}, options = {}) {
    const answered = await this.#http.send('POST', PATH, { json: { query, variables }, ...options });
    const { data, errors } = await answered.json();
    if (!errors?.length) return data;
    const said = errors[0].extensions ?? {};
    const details = { ...said.details, errors, data };
    throw apiError({ code: said.code ?? 'INTERNAL', message: errors[0].message, details }, { status: answered.status });
  }

  /**
   * The schema, for code generators and editors.
   * @returns {Promise<string>}
   */
  async schema() {
    return this.#http.text(`${PATH}/schema.graphql`);
  }
}
