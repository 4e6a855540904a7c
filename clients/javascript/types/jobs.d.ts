/** Training jobs: submit, watch, stop, go on, repeat. */
export class Jobs {
    /** @param {import('./http.js').Http} http @param {import('./events.js').Events} events */
    constructor(http: import("./http.js").Http, events: import("./events.js").Events);
    /**
     * Train a model. `id` of the answer is the job's. Throws `ValidationFailed`, `BudgetExceeded`, `BackendUnavailable`,
     * `DatasetMissing` or `InsufficientMemory` where it was not taken.
     *
     * @param {import('./schemas.js').JobDraft} body
     * @param {{idempotencyKey?: string}} [options]
     * @returns {Promise<import('./schemas.js').Submitted & {id: string}>}
     */
    submit(body: import("./schemas.js").JobDraft, options?: {
        idempotencyKey?: string;
    }): Promise<import("./schemas.js").Submitted & {
        id: string;
    }>;
    /**
     * What a job would take and cost, without submitting it.
     *
     * @param {import('./schemas.js').JobDraft} body
     * @returns {Promise<import('./schemas.js').Estimate>}
     */
    estimate(body: import("./schemas.js").JobDraft): Promise<import("./schemas.js").Estimate>;
    /**
     * Jobs, those in one of the states `status`; `progress` is a percentage.
     *
     * @param {{status?: string | string[], limit?: number, offset?: number, sort?: string}} [options]
     * @returns {Promise<import('./pages.js').Page<import('./schemas.js').JobSummary>>}
     */
    list(options?: {
        status?: string | string[];
        limit?: number;
        offset?: number;
        sort?: string;
    }): Promise<import("./pages.js").Page<import("./schemas.js").JobSummary>>;
    /**
     * @param {{status?: string | string[], sort?: string, pageSize?: number}} [options]
     * @returns {AsyncGenerator<import('./schemas.js').JobSummary, void, void>}
     */
    iterate(options?: {
        status?: string | string[];
        sort?: string;
        pageSize?: number;
    }): AsyncGenerator<import("./schemas.js").JobSummary, void, void>;
    /**
     * @param {string} id
     * @returns {Promise<import('./schemas.js').Job>}
     */
    get(id: string): Promise<import("./schemas.js").Job>;
    /**
     * Within two seconds; the last checkpoint is kept.
     *
     * @param {string} id
     * @returns {Promise<import('./schemas.js').JobState>}
     */
    cancel(id: string): Promise<import("./schemas.js").JobState>;
    /**
     * @param {string} id
     * @returns {Promise<import('./schemas.js').JobState>}
     */
    pause(id: string): Promise<import("./schemas.js").JobState>;
    /**
     * @param {string} id
     * @returns {Promise<import('./schemas.js').JobState>}
     */
    resume(id: string): Promise<import("./schemas.js").JobState>;
    /**
     * Train further where an ended job stopped, in a new job.
     *
     * @param {string} id
     * @param {import('./schemas.js').ContinueDraft} [body]
     * @param {{idempotencyKey?: string}} [options]
     * @returns {Promise<import('./schemas.js').Submitted & {id: string}>}
     */
    continue(id: string, body?: import("./schemas.js").ContinueDraft, options?: {
        idempotencyKey?: string;
    }): Promise<import("./schemas.js").Submitted & {
        id: string;
    }>;
    /**
     * Run an ended job again, in a new job that says whether it was the same, bit for bit.
     *
     * @param {string} id
     * @param {{idempotencyKey?: string}} [options]
     * @returns {Promise<import('./schemas.js').Submitted & {id: string}>}
     */
    replay(id: string, options?: {
        idempotencyKey?: string;
    }): Promise<import("./schemas.js").Submitted & {
        id: string;
    }>;
    /**
     * Raise the limit; where it was paused for that, it goes on.
     *
     * @param {string} id
     * @param {import('./schemas.js').TopUpDraft} body
     * @param {{idempotencyKey?: string}} [options]
     * @returns {Promise<import('./schemas.js').Job>}
     */
    topUp(id: string, body: import("./schemas.js").TopUpDraft, options?: {
        idempotencyKey?: string;
    }): Promise<import("./schemas.js").Job>;
    /**
     * The last lines, of `level` and above.
     *
     * @param {string} id
     * @param {{lines?: number, level?: string}} [options]
     * @returns {Promise<import('./schemas.js').LogLine[]>}
     */
    logs(id: string, options?: {
        lines?: number;
        level?: string;
    }): Promise<import("./schemas.js").LogLine[]>;
    /**
     * How far a job is now, and then each epoch and each change of its state, until it has ended. Nothing is missed and nothing
     * comes twice, whatever becomes of the connection. Throws `NotFound` where there is no such job, `ConnectionFailed` where the
     * server stayed away.
     *
     * @param {string} id
     * @param {Watching} [options]
     * @returns {AsyncGenerator<Progress, void, void>}
     */
    streamProgress(id: string, options?: Watching): AsyncGenerator<Progress, void, void>;
    /**
     * The metrics of each epoch from now on, until the job has ended.
     *
     * @param {string} id
     * @param {Watching} [options]
     * @returns {AsyncGenerator<import('./schemas.js').JobMetrics, void, void>}
     */
    streamMetrics(id: string, options?: Watching): AsyncGenerator<import("./schemas.js").JobMetrics, void, void>;
    /**
     * The last lines and then each that comes, until the job has ended.
     *
     * @param {string} id
     * @param {Watching & {lines?: number, level?: string}} [options]
     * @returns {AsyncGenerator<import('./schemas.js').LogLine, void, void>}
     */
    followLogs(id: string, { lines, level, signal, awaySeconds }?: Watching & {
        lines?: number;
        level?: string;
    }): AsyncGenerator<import("./schemas.js").LogLine, void, void>;
    /**
     * The job, once it has ended. Throws `JobFailed` where it did not complete, unless `check` is false.
     *
     * @param {string} id
     * @param {Watching & {check?: boolean, onProgress?: (update: Progress) => void}} [options]
     * @returns {Promise<import('./schemas.js').Job>}
     */
    wait(id: string, { check, onProgress, ...options }?: Watching & {
        check?: boolean;
        onProgress?: (update: Progress) => void;
    }): Promise<import("./schemas.js").Job>;
    #private;
}
export type Watching = {
    signal?: AbortSignal;
    awaySeconds?: number;
};
export type Progress = import("./schemas.js").JobProgress & {
    epoch: number;
    loss: number | null;
};
