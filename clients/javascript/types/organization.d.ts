/** Your organization. */
export class Organizations {
    /** @param {import('./http.js').Http} http */
    constructor(http: import("./http.js").Http);
    /**
     * @returns {Promise<import('./schemas.js').Organization>}
     */
    get(): Promise<import("./schemas.js").Organization>;
    #private;
}
