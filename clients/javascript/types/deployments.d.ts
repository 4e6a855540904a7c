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
     * Change the versions behind its address; what is not sent stays, null ends a canary or a shadow.
     *
     * @param {string} id
     * @param {import('./schemas.js').RolloutDraft} changes
     * @returns {Promise<import('./schemas.js').Deployment>}
     */
    rollOut(id: string, changes: import("./schemas.js").RolloutDraft): Promise<import("./schemas.js").Deployment>;
    /**
     * End a canary and a shadow; where there is neither, the version that answered before answers again.
     *
     * @param {string} id
     * @returns {Promise<import('./schemas.js').Deployment>}
     */
    rollBack(id: string): Promise<import("./schemas.js").Deployment>;
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
