/** What was used and what it cost. */
export class Usage {
    /** @param {import('./http.js').Http} http */
    constructor(http: import("./http.js").Http);
    /**
     * By `day`, `backend`, `user` or `project`; without dates the month so far.
     *
     * @param {{start_date?: string, end_date?: string, group_by?: string}} [options]
     * @returns {Promise<import('./schemas.js').Usage>}
     */
    get(options?: {
        start_date?: string;
        end_date?: string;
        group_by?: string;
    }): Promise<import("./schemas.js").Usage>;
    /**
     * @param {{start_date?: string, end_date?: string, group_by?: string}} [options]
     * @returns {Promise<string>}
     */
    csv(options?: {
        start_date?: string;
        end_date?: string;
        group_by?: string;
    }): Promise<string>;
    #private;
}
