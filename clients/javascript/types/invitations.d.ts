/** Invitations to your organization. */
export class Invitations {
    /** @param {import('./http.js').Http} http */
    constructor(http: import("./http.js").Http);
    /**
     * `link` of the answer is shown this once; it is mailed too, where the server has a mail server.
     *
     * @param {import('./schemas.js').InvitationDraft} body
     * @param {{idempotencyKey?: string}} [options]
     * @returns {Promise<import('./schemas.js').Invitation>}
     */
    create(body: import("./schemas.js").InvitationDraft, options?: {
        idempotencyKey?: string;
    }): Promise<import("./schemas.js").Invitation>;
    /**
     * @param {{status?: string, limit?: number, offset?: number, sort?: string}} [options]
     * @returns {Promise<import('./pages.js').Page<import('./schemas.js').Invitation>>}
     */
    list(options?: {
        status?: string;
        limit?: number;
        offset?: number;
        sort?: string;
    }): Promise<import("./pages.js").Page<import("./schemas.js").Invitation>>;
    /**
     * @param {{status?: string, sort?: string, pageSize?: number}} [options]
     * @returns {AsyncGenerator<import('./schemas.js').Invitation, void, void>}
     */
    iterate(options?: {
        status?: string;
        sort?: string;
        pageSize?: number;
    }): AsyncGenerator<import("./schemas.js").Invitation, void, void>;
    /**
     * @param {string} id
     * @returns {Promise<void>}
     */
    revoke(id: string): Promise<void>;
    /**
     * What a link offers; `token` is what stands behind its `#`.
     *
     * @param {import('./schemas.js').LinkDraft} body
     * @returns {Promise<import('./schemas.js').Offer>}
     */
    offer(body: import("./schemas.js").LinkDraft): Promise<import("./schemas.js").Offer>;
    /**
     * Become a member; then sign in. `password` is that of the new account, or of the one that the address has already.
     *
     * @param {import('./schemas.js').AcceptDraft} body
     * @returns {Promise<import('./schemas.js').Accepted>}
     */
    accept(body: import("./schemas.js").AcceptDraft): Promise<import("./schemas.js").Accepted>;
    /**
     * Become a member as who is signed in; then `auth.switch`.
     *
     * @param {import('./schemas.js').LinkDraft} body
     * @param {{idempotencyKey?: string}} [options]
     * @returns {Promise<import('./schemas.js').Accepted>}
     */
    join(body: import("./schemas.js").LinkDraft, options?: {
        idempotencyKey?: string;
    }): Promise<import("./schemas.js").Accepted>;
    #private;
}
