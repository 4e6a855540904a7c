/** Sweeps: a job for each combination of the lists in `config`. */
export class Sweeps {
    /** @param {import('./http.js').Http} http */
    constructor(http: import("./http.js").Http);
    /**
     * At most 100 jobs; `budget_limit` is that of each.
     *
     * @param {import('./schemas.js').SweepDraft} body
     * @param {{idempotencyKey?: string}} [options]
     * @returns {Promise<import('./schemas.js').Sweep>}
     */
    submit(body: import("./schemas.js").SweepDraft, options?: {
        idempotencyKey?: string;
    }): Promise<import("./schemas.js").Sweep>;
    /**
     * @param {{limit?: number, offset?: number, sort?: string}} [options]
     * @returns {Promise<import('./pages.js').Page<import('./schemas.js').SweepSummary>>}
     */
    list(options?: {
        limit?: number;
        offset?: number;
        sort?: string;
    }): Promise<import("./pages.js").Page<import("./schemas.js").SweepSummary>>;
    /**
     * @param {{sort?: string, pageSize?: number}} [options]
     * @returns {AsyncGenerator<import('./schemas.js').SweepSummary, void, void>}
     */
    iterate(options?: {
        sort?: string;
        pageSize?: number;
    }): AsyncGenerator<import("./schemas.js").SweepSummary, void, void>;
    /**
     * How far it is, and its jobs, the best first.
     *
     * @param {string} id
     * @returns {Promise<import('./schemas.js').Sweep>}
     */
    get(id: string): Promise<import("./schemas.js").Sweep>;
    /**
     * Cancel every job that has not ended.
     *
     * @param {string} id
     * @returns {Promise<import('./schemas.js').Sweep>}
     */
    cancel(id: string): Promise<import("./schemas.js").Sweep>;
    #private;
}
