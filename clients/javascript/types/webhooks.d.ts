/** What your organization's webhooks are signed with. */
export class Webhooks {
    /** @param {import('./http.js').Http} http */
    constructor(http: import("./http.js").Http);
    /**
     * @returns {Promise<import('./schemas.js').WebhookSecret>}
     */
    secret(): Promise<import("./schemas.js").WebhookSecret>;
    /**
     * Everything that is sent from now on is signed with the new one.
     * @returns {Promise<import('./schemas.js').WebhookSecret>}
     */
    renewSecret(): Promise<import("./schemas.js").WebhookSecret>;
    #private;
}
