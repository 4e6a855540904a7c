/** Data sets: built in, imported by the operator, uploaded. */
export class Datasets {
    /** @param {import('./http.js').Http} http */
    constructor(http: import("./http.js").Http);
    /**
     * @param {{limit?: number, offset?: number, sort?: string}} [options]
     * @returns {Promise<import('./pages.js').Page<import('./schemas.js').Dataset>>}
     */
    list(options?: {
        limit?: number;
        offset?: number;
        sort?: string;
    }): Promise<import("./pages.js").Page<import("./schemas.js").Dataset>>;
    /**
     * @param {{sort?: string, pageSize?: number}} [options]
     * @returns {AsyncGenerator<import('./schemas.js').Dataset, void, void>}
     */
    iterate(options?: {
        sort?: string;
        pageSize?: number;
    }): AsyncGenerator<import("./schemas.js").Dataset, void, void>;
    /**
     * A CSV file with a header line, or an NPZ file with arrays `x` and `y`. Throws `ValidationFailed` with what is wrong in it,
     * and where.
     *
     * - `name` of the data set; the file's, if it is not given
     * - `label`: the column of a CSV to learn; the last, if it is not given
     * - `filename`: where the file has no name; its ending says what it is
     *
     * @param {Blob | string} file
     * @param {{name?: string, label?: string, filename?: string, idempotencyKey?: string}} [options]
     * @returns {Promise<import('./schemas.js').Dataset>}
     */
    upload(file: Blob | string, options?: {
        name?: string;
        label?: string;
        filename?: string;
        idempotencyKey?: string;
    }): Promise<import("./schemas.js").Dataset>;
    /**
     * Of a built-in or imported one the name is the id.
     *
     * @param {string} id
     * @returns {Promise<import('./schemas.js').Dataset>}
     */
    get(id: string): Promise<import("./schemas.js").Dataset>;
    /**
     * Samples by class, and the range, mean and spread of each feature.
     *
     * @param {string} id
     * @returns {Promise<Record<string, any>>}
     */
    statistics(id: string): Promise<Record<string, any>>;
    /**
     * Models that learned from it stay.
     *
     * @param {string} id
     * @returns {Promise<void>}
     */
    delete(id: string): Promise<void>;
    #private;
}
