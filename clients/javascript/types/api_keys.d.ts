/** API keys. */
export class ApiKeys {
    /** @param {import('./http.js').Http} http */
    constructor(http: import("./http.js").Http);
    /**
     * `key` of the answer is shown this once. It is null only where the first answer was lost on the way and the request was
     * sent again: then revoke that key and make another.
     *
     * @param {import('./schemas.js').ApiKeyDraft} body
     * @param {{idempotencyKey?: string}} [options]
     * @returns {Promise<import('./schemas.js').ApiKey>}
     */
    create(body: import("./schemas.js").ApiKeyDraft, options?: {
        idempotencyKey?: string;
    }): Promise<import("./schemas.js").ApiKey>;
    /**
     * @param {{limit?: number, offset?: number, sort?: string}} [options]
     * @returns {Promise<import('./pages.js').Page<import('./schemas.js').ApiKey>>}
     */
    list(options?: {
        limit?: number;
        offset?: number;
        sort?: string;
    }): Promise<import("./pages.js").Page<import("./schemas.js").ApiKey>>;
    /**
     * @param {{sort?: string, pageSize?: number}} [options]
     * @returns {AsyncGenerator<import('./schemas.js').ApiKey, void, void>}
     */
    iterate(options?: {
        sort?: string;
        pageSize?: number;
    }): AsyncGenerator<import("./schemas.js").ApiKey, void, void>;
    /**
     * @param {string} id
     * @returns {Promise<void>}
     */
    revoke(id: string): Promise<void>;
    #private;
}
