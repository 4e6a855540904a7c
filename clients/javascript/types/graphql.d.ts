/** GraphQL, for questions that REST needs several requests for. */
export class GraphQL {
    /** @param {import('./http.js').Http} http */
    constructor(http: import("./http.js").Http);
    /**
     * `data` of a query, or of a document of mutations. Throws `APIError` by the code of the first error; its `details.errors` has
     * them all, `details.data` what there was beside.
     *
     * @param {string} query
     * @param {Record<string, any>} [variables]
     * @param {{idempotencyKey?: string}} [options]
     * @returns {Promise<any>}
     */
    query(query: string, variables?: Record<string, any>, options?: {
        idempotencyKey?: string;
    }): Promise<any>;
    /**
     * The schema, for code generators and editors.
     * @returns {Promise<string>}
     */
    schema(): Promise<string>;
    #private;
}
