import { DeploymentFailed } from './errors.js';
import { at } from './http.js';
import { sleep } from './retries.js';

const PATH = '/v1/deployments';

/** Deployments of models. */
export class Deployments {
  #http;
  #events;

  /** @param {import('./http.js').Http} http @param {import('./events.js').Events} events */
  constructor(http, events) {
    this.#http = http;
    this.#events = events;
  }

  /**
   * @param {{limit?: number, offset?: number, sort?: string}} [options]
   * @returns {Promise<import('./pages.js').Page<import('./schemas.js').Deployment>>}
   */
  async list(options = {}) {
    return this.#http.page(PATH, options);
  }

  /**
   * @param {{sort?: string, pageSize?: number}} [options]
   * @returns {AsyncGenerator<import('./schemas.js').Deployment, void, void>}
   */
  iterate(options) {
    return this.#http.rows(PATH, options);
  }

  /**
   * One deployment with its replicas.
   *
   * @param {string} id
   * @returns {Promise<import('./schemas.js').Deployment>}
   */
  async get(id) {
    return this.#http.ask('GET', at(PATH, id));
  }

  /**
   * Change the versions behind its address; what is not sent stays, null ends a canary or a shadow.
   *
   * @param {string} id
   * @param {import('./schemas.js').RolloutDraft} changes
   * @returns {Promise<import('./schemas.js').Deployment>}
   */
  async rollOut(id, changes) {
    return this.#http.ask('PATCH', at(PATH, id), { json: changes });
  }

  /**
   * End a canary and a shadow; where there is neither, the version that answered before answers again.
   *
   * @param {string} id
   * @returns {Promise<import('./schemas.js').Deployment>}
   */
  async rollBack(id) {
    return this.#http.ask('POST', at(PATH, id, 'rollback'));
  }

  /**
   * Each change of its status, until you stop listening.
   *
   * @param {string} id
   * @param {Omit<import('./events.js').Listening, 'about'>} [options]
   * @returns {AsyncGenerator<import('./schemas.js').DeploymentUpdate, void, void>}
   */
  streamStatus(id, options) {
    return this.#events.of('deployment.status', { ...options, about: id });
  }

  /**
   * The deployment, once it answers predictions. Throws `DeploymentFailed` where it does not, and will not.
   *
   * @param {string} id
   * @returns {Promise<import('./schemas.js').Deployment>}
   */
  async wait(id) {
    let deployment = await this.get(id);
    while (deployment.status === 'deploying') {
      // Its stream tells of changes alone, and it may have changed before anybody listened.
      await sleep(0.2);
      deployment = await this.get(id);
    }
    if (deployment.status !== 'deployed') throw new DeploymentFailed(`Deployment ${id} is ${deployment.status}.`);
    return deployment;
  }
}
