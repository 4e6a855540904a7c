/** Where you are signed in. */
export class Sessions {
    /** @param {import('./http.js').Http} http */
    constructor(http: import("./http.js").Http);
    /**
     * @param {{user_id?: string, limit?: number, offset?: number, sort?: string}} [options]
     * @returns {Promise<import('./pages.js').Page<import('./schemas.js').Session>>}
     */
    list(options?: {
        user_id?: string;
        limit?: number;
        offset?: number;
        sort?: string;
    }): Promise<import("./pages.js").Page<import("./schemas.js").Session>>;
    /**
     * @param {{user_id?: string, sort?: string, pageSize?: number}} [options]
     * @returns {AsyncGenerator<import('./schemas.js').Session, void, void>}
     */
    iterate(options?: {
        user_id?: string;
        sort?: string;
        pageSize?: number;
    }): AsyncGenerator<import("./schemas.js").Session, void, void>;
    /**
     * @param {string} id
     * @returns {Promise<void>}
     */
    end(id: string): Promise<void>;
    /**
     * End every session of yours but the one that asks.
     * @returns {Promise<import('./schemas.js').Ended>}
     */
    endOthers(): Promise<import("./schemas.js").Ended>;
    #private;
}
