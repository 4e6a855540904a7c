/** Who you are, and the people of your organization. */
export class Users {
    /** @param {import('./http.js').Http} http */
    constructor(http: import("./http.js").Http);
    /**
     * Who you are, what you may do, and your API keys, masked.
     * @returns {Promise<import('./schemas.js').Profile>}
     */
    me(): Promise<import("./schemas.js").Profile>;
    /**
     * Change your name or preferences, such as `default_backend`.
     *
     * @param {import('./schemas.js').ProfilePatch} body
     * @returns {Promise<import('./schemas.js').Profile>}
     */
    updateMe(body: import("./schemas.js").ProfilePatch): Promise<import("./schemas.js").Profile>;
    /**
     * Every other session of yours ends.
     *
     * @param {import('./schemas.js').PasswordChange} body
     * @returns {Promise<void>}
     */
    changePassword(body: import("./schemas.js").PasswordChange): Promise<void>;
    /**
     * The people of your organization, those who are kept out included.
     *
     * @param {{role?: string, limit?: number, offset?: number, sort?: string}} [options]
     * @returns {Promise<import('./pages.js').Page<import('./schemas.js').Member>>}
     */
    list(options?: {
        role?: string;
        limit?: number;
        offset?: number;
        sort?: string;
    }): Promise<import("./pages.js").Page<import("./schemas.js").Member>>;
    /**
     * @param {{role?: string, sort?: string, pageSize?: number}} [options]
     * @returns {AsyncGenerator<import('./schemas.js').Member, void, void>}
     */
    iterate(options?: {
        role?: string;
        sort?: string;
        pageSize?: number;
    }): AsyncGenerator<import("./schemas.js").Member, void, void>;
    /**
     * @param {string} id
     * @returns {Promise<import('./schemas.js').Member>}
     */
    get(id: string): Promise<import("./schemas.js").Member>;
    /**
     * Give somebody another role, keep them out, or let them in again.
     *
     * @param {string} id
     * @param {import('./schemas.js').MemberPatch} body
     * @returns {Promise<import('./schemas.js').Member>}
     */
    update(id: string, body: import("./schemas.js").MemberPatch): Promise<import("./schemas.js").Member>;
    /**
     * Remove somebody from your organization, or leave it yourself.
     *
     * @param {string} id
     * @returns {Promise<void>}
     */
    remove(id: string): Promise<void>;
    #private;
}
