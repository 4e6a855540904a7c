/** Backends: what runs circuits here. */
export class Backends {
    /** @param {import('./http.js').Http} http @param {import('./events.js').Events} events */
    constructor(http: import("./http.js").Http, events: import("./events.js").Events);
    /**
     * Every backend that is installed, with the reason where one cannot be used.
     *
     * @param {{status?: string, limit?: number, offset?: number, sort?: string}} [options]
     * @returns {Promise<import('./pages.js').Page<import('./schemas.js').Backend>>}
     */
    list(options?: {
        status?: string;
        limit?: number;
        offset?: number;
        sort?: string;
    }): Promise<import("./pages.js").Page<import("./schemas.js").Backend>>;
    /**
     * @param {{status?: string, sort?: string, pageSize?: number}} [options]
     * @returns {AsyncGenerator<import('./schemas.js').Backend, void, void>}
     */
    iterate(options?: {
        status?: string;
        sort?: string;
        pageSize?: number;
    }): AsyncGenerator<import("./schemas.js").Backend, void, void>;
    /**
     * @param {string} id
     * @returns {Promise<import('./schemas.js').Backend>}
     */
    get(id: string): Promise<import("./schemas.js").Backend>;
    /**
     * How it is doing now.
     *
     * @param {string} id
     * @returns {Promise<import('./schemas.js').BackendHealth>}
     */
    status(id: string): Promise<import("./schemas.js").BackendHealth>;
    /**
     * Each change of its status, until you stop listening.
     *
     * @param {string} id
     * @param {Omit<import('./events.js').Listening, 'about'>} [options]
     * @returns {AsyncGenerator<import('./schemas.js').BackendUpdate, void, void>}
     */
    streamStatus(id: string, options?: Omit<import("./events.js").Listening, "about">): AsyncGenerator<import("./schemas.js").BackendUpdate, void, void>;
    #private;
}
