import { at } from './http.js';

const PATH = '/v1/models';

/** Models: what training leaves, kept in order, deployed and asked. */
export class Models {
  #http;

  /** @param {import('./http.js').Http} http */
  constructor(http) {
    this.#http = http;
  }

  /**
   * With `name` and `sort: '-version'` the versions of one model, newest first; `tags` are any of them.
   *
   * @param {{status?: string, name?: string, stage?: string, tags?: string | string[], circuit_id?: string, limit?: number,
   *   offset?: number, sort?: string}} [options]
   * @returns {Promise<import('./pages.js').Page<import('./schemas.js').ModelSummary>>}
   */
  async list(options = {}) {
    return this.#http.page(PATH, options);
  }

  /**
   * @param {{status?: string, name?: string, stage?: string, tags?: string | string[], circuit_id?: string, sort?: string,
   *   pageSize?: number}} [options]
   * @returns {AsyncGenerator<import('./schemas.js').ModelSummary, void, void>}
   */
  iterate(options) {
    return this.#http.rows(PATH, options);
  }

  /**
   * One model with its parameters, what it takes and where it comes from.
   *
   * @param {string} id
   * @returns {Promise<import('./schemas.js').Model>}
   */
  async get(id) {
    return this.#http.ask('GET', at(PATH, id));
  }

  /**
   * Change what is given and leave the rest.
   *
   * @param {string} id
   * @param {import('./schemas.js').ModelPatch} patch
   * @returns {Promise<import('./schemas.js').Model>}
   */
  async update(id, patch) {
    return this.#http.ask('PATCH', at(PATH, id), { json: patch });
  }

  /**
   * Give a model the stage `staging` or `production`, which the version that had it loses; null takes it away.
   *
   * @param {string} id
   * @param {'staging' | 'production' | null} stage
   * @returns {Promise<import('./schemas.js').Model>}
   */
  async promote(id, stage) {
    return this.#http.ask('POST', at(PATH, id, 'promote'), { json: { stage } });
  }

  /**
   * Two models side by side: their numbers, what differs, and whether their scores compare.
   *
   * @param {string} a
   * @param {string} b
   * @returns {Promise<import('./schemas.js').Comparison>}
   */
  async compare(a, b) {
    return this.#http.ask('POST', at(PATH, 'compare'), { json: { a, b } });
  }

  /**
   * For 24 hours it can be restored.
   *
   * @param {string} id
   */
  async delete(id) {
    await this.#http.ask('DELETE', at(PATH, id));
  }

  /**
   * Bring back a model that was deleted within the last 24 hours.
   *
   * @param {string} id
   * @returns {Promise<import('./schemas.js').Model>}
   */
  async restore(id) {
    return this.#http.ask('POST', at(PATH, id, 'restore'));
  }

  /**
   * A model as one signed archive, to be kept in a file that ends in `.qcap`.
   *
   * @param {string} id
   * @returns {Promise<ArrayBuffer>}
   */
  async export(id) {
    return (await this.#http.send('GET', at(PATH, id, 'export'))).arrayBuffer();
  }

  /**
   * The key that this installation signs archives with.
   *
   * @returns {Promise<import('./schemas.js').Signer>}
   */
  async signer() {
    return this.#http.ask('GET', `${PATH}/signer`);
  }

  /**
   * Whether an archive is whole and rightly signed, by whom, and which model is in it.
   *
   * @param {Blob | BlobPart} file
   * @returns {Promise<import('./schemas.js').Inspection>}
   */
  async verify(file) {
    return this.#http.ask('POST', `${PATH}/verify`, { form: () => archived(file) });
  }

  /**
   * Take in a model from an archive, with its circuit. `accept` is the fingerprint of a key that is not among the trusted
   * ones, trusted for this once.
   *
   * @param {Blob | BlobPart} file
   * @param {{name?: string, version?: string, accept?: string, idempotencyKey?: string}} [options]
   * @returns {Promise<import('./schemas.js').Model>}
   */
  async import(file, options = {}) {
    const { idempotencyKey, ...fields } = options;
    return this.#http.ask('POST', `${PATH}/import`, { form: () => archived(file, fields), idempotencyKey });
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

/**
 * @param {Blob | BlobPart} file
 * @param {Record<string, string | undefined>} [fields]
 */
function archived(file, fields = {}) {
  const made = new FormData();
  for (const [name, value] of Object.entries(fields)) if (value !== undefined) made.append(name, value);
  made.append('file', file instanceof Blob ? file : new Blob([file]), 'model.qcap');
  return made;
}
