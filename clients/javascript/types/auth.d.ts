/** Signing in and out, where no API key does it. */
export class Auth {
    /** @param {import('./http.js').Http} http */
    constructor(http: import("./http.js").Http);
    /**
     * From now on as that user. Tokens are renewed by themselves. Throws `Unauthenticated` where that is wrong,
     * `SecondFactorRequired` where a code is asked for.
     *
     * @param {string} email
     * @param {string} password
     * @param {string} [code]
     * @returns {Promise<import('./schemas.js').Tokens>}
     */
    signIn(email: string, password: string, code?: string): Promise<import("./schemas.js").Tokens>;
    /**
     * To another of your organizations, from now on. The session that asks ends.
     *
     * @param {import('./schemas.js').SwitchDraft} body
     * @returns {Promise<import('./schemas.js').Tokens>}
     */
    switch(body: import("./schemas.js").SwitchDraft): Promise<import("./schemas.js").Tokens>;
    /**
     * End the session, its refresh tokens included.
     * @returns {Promise<void>}
     */
    logout(): Promise<void>;
    /**
     * Have a link mailed that sets another password; nobody is told whether there is such a user.
     *
     * @param {string} email
     * @returns {Promise<void>}
     */
    forgotPassword(email: string): Promise<void>;
    /**
     * Set another password with the token of such a link.
     *
     * @param {import('./schemas.js').Reset} body
     * @returns {Promise<void>}
     */
    resetPassword(body: import("./schemas.js").Reset): Promise<void>;
    #private;
}
