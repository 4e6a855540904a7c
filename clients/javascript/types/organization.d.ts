/** Your organization. */
export class Organizations {
    /** @param {import('./http.js').Http} http */
    constructor(http: import("./http.js").Http);
    /**
     * @returns {Promise<import('./schemas.js').Organization>}
     */
    get(): Promise<import("./schemas.js").Organization>;
    /**
     * Change it; what is not given stays.
     *
     * @param {import('./schemas.js').OrganizationPatch} body
     * @returns {Promise<import('./schemas.js').Organization>}
     */
    update(body: import("./schemas.js").OrganizationPatch): Promise<import("./schemas.js").Organization>;
    /**
     * All that you belong to, and which of them you act in.
     * @returns {Promise<import('./schemas.js').OwnOrganization[]>}
     */
    mine(): Promise<import("./schemas.js").OwnOrganization[]>;
    /**
     * Make another member its owner. You are an administrator afterwards.
     *
     * @param {import('./schemas.js').TransferDraft} body
     * @param {{idempotencyKey?: string}} [options]
     * @returns {Promise<import('./schemas.js').Member>}
     */
    transfer(body: import("./schemas.js").TransferDraft, options?: {
        idempotencyKey?: string;
    }): Promise<import("./schemas.js").Member>;
    #private;
}
