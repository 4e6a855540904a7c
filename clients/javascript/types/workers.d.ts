/** Machines that take jobs, for their operator. */
export class Workers {
    /** @param {import('./http.js').Http} http */
    constructor(http: import("./http.js").Http);
    /**
     * @param {{limit?: number, offset?: number, sort?: string}} [options]
     * @returns {Promise<import('./pages.js').Page<import('./schemas.js').Worker>>}
     */
    list(options?: {
        limit?: number;
        offset?: number;
        sort?: string;
    }): Promise<import("./pages.js").Page<import("./schemas.js").Worker>>;
    /**
     * @param {{sort?: string, pageSize?: number}} [options]
     * @returns {AsyncGenerator<import('./schemas.js').Worker, void, void>}
     */
    iterate(options?: {
        sort?: string;
        pageSize?: number;
    }): AsyncGenerator<import("./schemas.js").Worker, void, void>;
    #private;
}
