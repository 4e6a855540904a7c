/** Who you are. */
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
    #private;
}
