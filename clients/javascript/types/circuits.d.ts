/** Circuits: store, import, find, draw, run, optimize, compare, change, delete, restore; their versions. */
export class Circuits {
    /** @param {import('./http.js').Http} http */
    constructor(http: import("./http.js").Http);
    /**
     * Store a circuit: `gates: [{type: 'RY', targets: [0], parameters: {theta: 'theta_0'}}]`. Throws `InvalidCircuit` with the
     * gate and its index.
     *
     * @param {import('./schemas.js').CircuitDraft} body
     * @param {{idempotencyKey?: string}} [options]
     * @returns {Promise<import('./schemas.js').Circuit>}
     */
    create(body: import("./schemas.js").CircuitDraft, options?: {
        idempotencyKey?: string;
    }): Promise<import("./schemas.js").Circuit>;
    /**
     * Store a circuit that is written otherwise: `format: 'qasm3'`, `qasm2`, `ionq` and so on. Throws `InvalidCircuit` with the line
     * and column of a text.
     *
     * @param {import('./schemas.js').CircuitImport} body
     * @param {{idempotencyKey?: string}} [options]
     * @returns {Promise<import('./schemas.js').Circuit>}
     */
    import(body: import("./schemas.js").CircuitImport, options?: {
        idempotencyKey?: string;
    }): Promise<import("./schemas.js").Circuit>;
    /**
     * Circuits without their gates; those that have any of `tags`.
     *
     * @param {{tags?: string | string[], limit?: number, offset?: number, sort?: string}} [options]
     * @returns {Promise<import('./pages.js').Page<import('./schemas.js').CircuitSummary>>}
     */
    list(options?: {
        tags?: string | string[];
        limit?: number;
        offset?: number;
        sort?: string;
    }): Promise<import("./pages.js").Page<import("./schemas.js").CircuitSummary>>;
    /**
     * @param {{tags?: string | string[], sort?: string, pageSize?: number}} [options]
     * @returns {AsyncGenerator<import('./schemas.js').CircuitSummary, void, void>}
     */
    iterate(options?: {
        tags?: string | string[];
        sort?: string;
        pageSize?: number;
    }): AsyncGenerator<import("./schemas.js").CircuitSummary, void, void>;
    /**
     * @param {string} id
     * @returns {Promise<import('./schemas.js').Circuit>}
     */
    get(id: string): Promise<import("./schemas.js").Circuit>;
    /**
     * A circuit as `qasm3` or `qasm2` (a text), or as `unified`, `qstore4`, `ionq` or `ionq_native` (an object).
     *
     * @param {string} id
     * @param {string} format
     * @returns {Promise<any>}
     */
    export(id: string, format: string): Promise<any>;
    /**
     * As an SVG, or with `format: 'text'` in characters.
     *
     * @param {string} id
     * @param {{format?: 'svg' | 'text', theme?: 'light' | 'dark'}} [options]
     * @returns {Promise<string>}
     */
    drawing(id: string, options?: {
        format?: "svg" | "text";
        theme?: "light" | "dark";
    }): Promise<string>;
    /**
     * Run a circuit once with a number for each of its symbols; without `shots` exactly.
     *
     * @param {string} id
     * @param {Partial<import('./schemas.js').ExecutionDraft>} [body]
     * @param {{idempotencyKey?: string}} [options]
     * @returns {Promise<import('./schemas.js').Execution>}
     */
    run(id: string, body?: Partial<import("./schemas.js").ExecutionDraft>, options?: {
        idempotencyKey?: string;
    }): Promise<import("./schemas.js").Execution>;
    /**
     * Store a smaller circuit that does the same, with a certificate that it does.
     *
     * @param {string} id
     * @param {import('./schemas.js').OptimisationDraft} [body]
     * @param {{idempotencyKey?: string}} [options]
     * @returns {Promise<import('./schemas.js').Optimised>}
     */
    optimize(id: string, body?: import("./schemas.js").OptimisationDraft, options?: {
        idempotencyKey?: string;
    }): Promise<import("./schemas.js").Optimised>;
    /**
     * Whether two circuits do the same up to a phase, or a state that tells them apart; and what they differ in.
     *
     * @param {string} a
     * @param {string} b
     * @returns {Promise<import('./schemas.js').Compared>}
     */
    compare(a: string, b: string): Promise<import("./schemas.js").Compared>;
    /**
     * What it was before each change of its gates, without them; the newest first.
     *
     * @param {string} id
     * @param {{limit?: number, offset?: number, sort?: string}} [options]
     * @returns {Promise<import('./pages.js').Page<import('./schemas.js').CircuitVersion>>}
     */
    versions(id: string, options?: {
        limit?: number;
        offset?: number;
        sort?: string;
    }): Promise<import("./pages.js").Page<import("./schemas.js").CircuitVersion>>;
    /**
     * What it was in one of its versions.
     *
     * @param {string} id
     * @param {number} version
     * @returns {Promise<import('./schemas.js').WholeCircuitVersion>}
     */
    version(id: string, version: number): Promise<import("./schemas.js").WholeCircuitVersion>;
    /**
     * The gates that only one of two versions has: of the first and the present one, unless others are named.
     *
     * @param {string} id
     * @param {{a?: number, b?: number}} [options]
     * @returns {Promise<import('./schemas.js').VersionDifference>}
     */
    diff(id: string, options?: {
        a?: number;
        b?: number;
    }): Promise<import("./schemas.js").VersionDifference>;
    /**
     * Change what is given and leave the rest; new gates make a new version.
     *
     * @param {string} id
     * @param {import('./schemas.js').CircuitPatch} body
     * @returns {Promise<import('./schemas.js').Circuit>}
     */
    update(id: string, body: import("./schemas.js").CircuitPatch): Promise<import("./schemas.js").Circuit>;
    /**
     * For 24 hours it can be restored.
     *
     * @param {string} id
     * @returns {Promise<void>}
     */
    delete(id: string): Promise<void>;
    /**
     * @param {string} id
     * @returns {Promise<import('./schemas.js').Circuit>}
     */
    restore(id: string): Promise<import("./schemas.js").Circuit>;
    #private;
}
