/** Packages that the server offers to machines without internet. */
export class Downloads {
    /** @param {import('./http.js').Http} http */
    constructor(http: import("./http.js").Http);
    /** @returns {Promise<import('./schemas.js').Download[]>} */
    list(): Promise<import("./schemas.js").Download[]>;
    /**
     * @param {string} name
     * @returns {Promise<ArrayBuffer>}
     */
    get(name: string): Promise<ArrayBuffer>;
    #private;
}
