/** Deployments of models. */
export class Deployments {
    /** @param {import('./http.js').Http} http @param {import('./events.js').Events} events */
    constructor(http: import("./http.js").Http, events: import("./events.js").Events);
    /**
     * @param {{limit?: number, offset?: number, sort?: string}} [options]
     * @returns {Promise<import('./pages.js').Page<import('./schemas.js').Deployment>>}
     */
    list(options?: {
        limit?: number;
        offset?: number;
        sort?: string;
    }): Promise<import("./pages.js").Page<import("./schemas.js").Deployment>>;
    /**
     * @param {{sort?: string, pageSize?: number}} [options]
     * @returns {AsyncGenerator<import('./schemas.js').Deployment, void, void>}
     */
    iterate(options?: {
        sort?: string;
        pageSize?: number;
    }): AsyncGenerator<import("./schemas.js").Deployment, void, void>;
    /**
     * One deployment with its replicas.
     *
     * @param {string} id
     * @returns {Promise<import('./schemas.js').Deployment>}
     */
    get(id: string): Promise<import("./schemas.js").Deployment>;
    /**
     * Each change of its status, until you stop listening.
     *
     * @param {string} id
     * @param {Omit<import('./events.js').Listening, 'about'>} [options]
     * @returns {AsyncGenerator<import('./schemas.js').DeploymentUpdate, void, void>}
     */
    streamStatus(id: string, options?: Omit<import("./events.js").Listening, "about">): AsyncGenerator<import("./schemas.js").DeploymentUpdate, void, void>;
    /**
     * The deployment, once it answers predictions. Throws `DeploymentFailed` where it does not, and will not.
     *
     * @param {string} id
     * @returns {Promise<import('./schemas.js').Deployment>}
     */
    wait(id: string): Promise<import("./schemas.js").Deployment>;
    #private;
}
