/** Whether the server is there, and what it says about itself. */
export class Probes {
    /** @param {import('./http.js').Http} http */
    constructor(http: import("./http.js").Http);
    /**
     * @returns {Promise<import('./schemas.js').Health>}
     */
    health(): Promise<import("./schemas.js").Health>;
    /**
     * Throws `Unavailable` where a part does not answer.
     * @returns {Promise<import('./schemas.js').Readiness>}
     */
    ready(): Promise<import("./schemas.js").Readiness>;
    /**
     * The server's description of itself.
     * @returns {Promise<Record<string, any>>}
     */
    openapi(): Promise<Record<string, any>>;
    #private;
}
