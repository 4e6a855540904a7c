/** Models: what training leaves, deployed and asked. */
export class Models {
    /** @param {import('./http.js').Http} http */
    constructor(http: import("./http.js").Http);
    /**
     * @param {{status?: string, limit?: number, offset?: number, sort?: string}} [options]
     * @returns {Promise<import('./pages.js').Page<import('./schemas.js').ModelSummary>>}
     */
    list(options?: {
        status?: string;
        limit?: number;
        offset?: number;
        sort?: string;
    }): Promise<import("./pages.js").Page<import("./schemas.js").ModelSummary>>;
    /**
     * @param {{status?: string, sort?: string, pageSize?: number}} [options]
     * @returns {AsyncGenerator<import('./schemas.js').ModelSummary, void, void>}
     */
    iterate(options?: {
        status?: string;
        sort?: string;
        pageSize?: number;
    }): AsyncGenerator<import("./schemas.js").ModelSummary, void, void>;
    /**
     * One model with its parameters and what it takes.
     *
     * @param {string} id
     * @returns {Promise<import('./schemas.js').Model>}
     */
    get(id: string): Promise<import("./schemas.js").Model>;
    /**
     * Serve a model. `client.deployments.wait(answer.deployment_id)` returns once it answers.
     *
     * @param {string} id
     * @param {Partial<import('./schemas.js').DeploymentDraft>} [body]
     * @param {{idempotencyKey?: string}} [options]
     * @returns {Promise<import('./schemas.js').DeploymentStarted>}
     */
    deploy(id: string, body?: Partial<import("./schemas.js").DeploymentDraft>, options?: {
        idempotencyKey?: string;
    }): Promise<import("./schemas.js").DeploymentStarted>;
    /**
     * Ask a deployed model: one answer for each row of `inputs`, which are raw features; arrays or typed arrays.
     * Throws `ValidationFailed` where the features are not as many as the model takes, `Gone` where it is retired.
     *
     * @param {string} id
     * @param {ArrayLike<ArrayLike<number>>} inputs
     * @param {import('./schemas.js').PredictOptions} [options]
     * @returns {Promise<import('./schemas.js').Predictions>}
     */
    predict(id: string, inputs: ArrayLike<ArrayLike<number>>, options?: import("./schemas.js").PredictOptions): Promise<import("./schemas.js").Predictions>;
    /**
     * How a model did in service, by UTC day.
     *
     * @param {string} id
     * @param {{window?: string}} [options] `7d` (the default), `24h`: the present one included, at most 90 days.
     * @returns {Promise<import('./schemas.js').ModelMetrics>}
     */
    metrics(id: string, options?: {
        window?: string;
    }): Promise<import("./schemas.js").ModelMetrics>;
    /**
     * Take a model out of service for good.
     *
     * @param {string} id
     * @returns {Promise<import('./schemas.js').Model>}
     */
    retire(id: string): Promise<import("./schemas.js").Model>;
    #private;
}
