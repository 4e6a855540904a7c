/** Who did what in your organization. */
export class Audit {
    /** @param {import('./http.js').Http} http */
    constructor(http: import("./http.js").Http);
    /**
     * The newest first. `action` is an act, or a family such as `api_key`; `q` a text in actor, subject or details.
     *
     * @param {{action?: string, actor?: string, subject?: string, address?: string, since?: string, until?: string, q?: string, installation?: boolean, limit?: number, offset?: number, sort?: string}} [options]
     * @returns {Promise<import('./pages.js').Page<import('./schemas.js').AuditEntry>>}
     */
    list(options?: {
        action?: string;
        actor?: string;
        subject?: string;
        address?: string;
        since?: string;
        until?: string;
        q?: string;
        installation?: boolean;
        limit?: number;
        offset?: number;
        sort?: string;
    }): Promise<import("./pages.js").Page<import("./schemas.js").AuditEntry>>;
    /**
     * @param {{action?: string, actor?: string, subject?: string, address?: string, since?: string, until?: string, q?: string, installation?: boolean, sort?: string, pageSize?: number}} [options]
     * @returns {AsyncGenerator<import('./schemas.js').AuditEntry, void, void>}
     */
    iterate(options?: {
        action?: string;
        actor?: string;
        subject?: string;
        address?: string;
        since?: string;
        until?: string;
        q?: string;
        installation?: boolean;
        sort?: string;
        pageSize?: number;
    }): AsyncGenerator<import("./schemas.js").AuditEntry, void, void>;
    /**
     * All of it as a file, the oldest first.
     *
     * @param {{format?: 'jsonl' | 'csv', installation?: boolean}} [options]
     * @returns {Promise<string>}
     */
    export({ format, installation }?: {
        format?: "jsonl" | "csv";
        installation?: boolean;
    }): Promise<string>;
    /**
     * Whether every entry is there, in its place and unchanged.
     *
     * @param {{installation?: boolean}} [options]
     * @returns {Promise<import('./schemas.js').AuditVerification>}
     */
    verify(options?: {
        installation?: boolean;
    }): Promise<import("./schemas.js").AuditVerification>;
    #private;
}
