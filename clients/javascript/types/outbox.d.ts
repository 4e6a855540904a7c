/** Messages to people and programs outside. */
export class Outbox {
    /** @param {import('./http.js').Http} http */
    constructor(http: import("./http.js").Http);
    /**
     * `status: 'dead'` are those that nobody took.
     *
     * @param {{status?: string, limit?: number, offset?: number, sort?: string}} [options]
     * @returns {Promise<import('./pages.js').Page<import('./schemas.js').Letter>>}
     */
    list(options?: {
        status?: string;
        limit?: number;
        offset?: number;
        sort?: string;
    }): Promise<import("./pages.js").Page<import("./schemas.js").Letter>>;
    /**
     * @param {{status?: string, sort?: string, pageSize?: number}} [options]
     * @returns {AsyncGenerator<import('./schemas.js').Letter, void, void>}
     */
    iterate(options?: {
        status?: string;
        sort?: string;
        pageSize?: number;
    }): AsyncGenerator<import("./schemas.js").Letter, void, void>;
    /**
     * Try a message now.
     *
     * @param {string} id
     * @returns {Promise<import('./schemas.js').Letter>}
     */
    retry(id: string): Promise<import("./schemas.js").Letter>;
    #private;
}
