import { at } from './http.js';

const PATH = '/v1/models';

/** Models: what training leaves, deployed and asked. */
export class Models {
  #http;

  /** @param {import('./http.js').Http} http */
  constructor(http) {
    this.#http = http;
  }

  /**
   * @param {{status?: string, limit?: number, offset?: number, sort?: string}} [options]
   * @returns {Promise<import('./pages.js').Page<import('./schemas.js').ModelSummary>>}
   */
  async list(options = {}) {
    return this.#http.page(PATH, options);
  }

  /**
   * @param {{status?: string, sort?: string, pageSize?: number}} [options]
   * @returns {AsyncGenerator<import('./schemas.js').ModelSummary, void, void>}
   */
  iterate(options) {
    return this.#http.rows(PATH, options);
  }

  /**
   * One model with its parameters and what it takes.
   *
   * @param {string} id
   * @returns {Promise<import('./schemas.js').Model>}
   */
  async get(id) {
    return this.#http.ask('GET', at(PATH, id));
  }

  /**
   * Serve a model. `client.deployments.wait(answer.deployment_id)` returns once it answers.
   *
   * @param {string} id
   * @param {Partial<import('./schemas.js').DeploymentDraft>} [body]
   * @param {{idempotencyKey?: string}} [options]
   * @returns {Promise<import('./schemas.js').DeploymentStarted>}
   */
  async deploy(id, body = {}, options = {}) {
    return this.#http.ask('POST', at(PATH, id, 'deploy'), { json: body, ...options });
  }

  /**
   * Ask a deployed model: one answer for each row of `inputs`, which are raw features; arrays or typed arrays.
   * Throws `ValidationFailed` where the features are not as many as the model takes, `Gone` where it is retired.
   *
   * @param {string} id
   * @param {ArrayLike<ArrayLike<number>>} inputs
   * @param {import('./schemas.js').PredictOptions} [options]
   * @returns {Promise<import('./schemas.js').Predictions>}
   */
  async predict(id, inputs, options) {
    const rows = Array.from(inputs, (row) => Array.from(row));
    return this.#http.ask('POST', at(PATH, id, 'predict'), { json: { inputs: rows, ...(options && { options }) } });
  }

  /**
   * How a model did in service, by UTC day.
   *
   * @param {string} id
   * @param {{window?: string}} [options] `7d` (the default), `24h`: the present one included, at most 90 days.
   * @returns {Promise<import('./schemas.js').ModelMetrics>}
   */
  async metrics(id, options = {}) {
    return this.#http.ask('GET', at(PATH, id, 'metrics'), { query: options });
  }

  /**
   * Take a model out of service for good.
   *
   * @param {string} id
   * @returns {Promise<import('./schemas.js').Model>}
   */
  async retire(id) {
    return this.#http.ask('POST', at(PATH, id, 'retire'));
  }
}
