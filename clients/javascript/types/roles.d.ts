/** Roles of your organization: the four, and those that it has made. */
export class Roles {
    /** @param {import('./http.js').Http} http */
    constructor(http: import("./http.js").Http);
    /**
     * Make one out of permissions that you have, such as `jobs:submit` or `circuits:*`.
     *
     * @param {import('./schemas.js').RoleDraft} body
     * @param {{idempotencyKey?: string}} [options]
     * @returns {Promise<import('./schemas.js').OrganizationRole>}
     */
    create(body: import("./schemas.js").RoleDraft, options?: {
        idempotencyKey?: string;
    }): Promise<import("./schemas.js").OrganizationRole>;
    /**
     * The four first, then your organization's own.
     *
     * @returns {Promise<import('./schemas.js').OrganizationRole[]>}
     */
    list(): Promise<import("./schemas.js").OrganizationRole[]>;
    /**
     * @param {string} name
     * @returns {Promise<import('./schemas.js').OrganizationRole>}
     */
    get(name: string): Promise<import("./schemas.js").OrganizationRole>;
    /**
     * What is given replaces what was; it counts at once for everybody who has the role.
     *
     * @param {string} name
     * @param {import('./schemas.js').RolePatch} body
     * @returns {Promise<import('./schemas.js').OrganizationRole>}
     */
    update(name: string, body: import("./schemas.js").RolePatch): Promise<import("./schemas.js").OrganizationRole>;
    /**
     * One that nobody has or is invited to.
     *
     * @param {string} name
     * @returns {Promise<void>}
     */
    delete(name: string): Promise<void>;
    #private;
}
