/** Models: what training leaves, kept in order, deployed and asked. */
export class Models {
    /** @param {import('./http.js').Http} http */
    constructor(http: import("./http.js").Http);
    /**
     * With `name` and `sort: '-version'` the versions of one model, newest first; `tags` are any of them.
     *
     * @param {{status?: string, name?: string, stage?: string, tags?: string | string[], circuit_id?: string, limit?: number,
     *   offset?: number, sort?: string}} [options]
     * @returns {Promise<import('./pages.js').Page<import('./schemas.js').ModelSummary>>}
     */
    list(options?: {
        status?: string;
        name?: string;
        stage?: string;
        tags?: string | string[];
        circuit_id?: string;
        limit?: number;
        offset?: number;
        sort?: string;
    }): Promise<import("./pages.js").Page<import("./schemas.js").ModelSummary>>;
    /**
     * @param {{status?: string, name?: string, stage?: string, tags?: string | string[], circuit_id?: string, sort?: string,
     *   pageSize?: number}} [options]
     * @returns {AsyncGenerator<import('./schemas.js').ModelSummary, void, void>}
     */
    iterate(options?: {
        status?: string;
        name?: string;
        stage?: string;
        tags?: string | string[];
        circuit_id?: string;
        sort?: string;
        pageSize?: number;
    }): AsyncGenerator<import("./schemas.js").ModelSummary, void, void>;
    /**
     * One model with its parameters, what it takes and where it comes from.
     *
     * @param {string} id
     * @returns {Promise<import('./schemas.js').Model>}
     */
    get(id: string): Promise<import("./schemas.js").Model>;
    /**
     * Change what is given and leave the rest.
     *
     * @param {string} id
     * @param {import('./schemas.js').ModelPatch} patch
     * @returns {Promise<import('./schemas.js').Model>}
     */
    update(id: string, patch: import("./schemas.js").ModelPatch): Promise<import("./schemas.js").Model>;
    /**
     * Give a model the stage `staging` or `production`, which the version that had it loses; null takes it away.
     *
     * @param {string} id
     * @param {'staging' | 'production' | null} stage
     * @returns {Promise<import('./schemas.js').Model>}
     */
    promote(id: string, stage: "staging" | "production" | null): Promise<import("./schemas.js").Model>;
    /**
     * Two models side by side: their numbers, what differs, and whether their scores compare.
     *
     * @param {string} a
     * @param {string} b
     * @returns {Promise<import('./schemas.js').Comparison>}
     */
    compare(a: string, b: string): Promise<import("./schemas.js").Comparison>;
    /**
     * For 24 hours it can be restored.
     *
     * @param {string} id
     */
    delete(id: string): Promise<void>;
    /**
     * Bring back a model that was deleted within the last 24 hours.
     *
     * @param {string} id
     * @returns {Promise<import('./schemas.js').Model>}
     */
    restore(id: string): Promise<import("./schemas.js").Model>;
    /**
     * A model as one signed archive, to be kept in a file that ends in `.qcap`.
     *
     * @param {string} id
     * @returns {Promise<ArrayBuffer>}
     */
    export(id: string): Promise<ArrayBuffer>;
    /**
     * The key that this installation signs archives with.
     *
     * @returns {Promise<import('./schemas.js').Signer>}
     */
    signer(): Promise<import("./schemas.js").Signer>;
    /**
     * Whether an archive is whole and rightly signed, by whom, and which model is in it.
     *
     * @param {Blob | BlobPart} file
     * @returns {Promise<import('./schemas.js').Inspection>}
     */
    verify(file: Blob | BlobPart): Promise<import("./schemas.js").Inspection>;
    /**
     * Take in a model from an archive, with its circuit. `accept` is the fingerprint of a key that is not among the trusted
     * ones, trusted for this once.
     *
     * @param {Blob | BlobPart} file
     * @param {{name?: string, version?: string, accept?: string, idempotencyKey?: string}} [options]
     * @returns {Promise<import('./schemas.js').Model>}
     */
    import(file: Blob | BlobPart, options?: {
        name?: string;
        version?: string;
        accept?: string;
        idempotencyKey?: string;
    }): Promise<import("./schemas.js").Model>;
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
