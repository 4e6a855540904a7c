/** The second factor of your sign-in: codes of an authenticator. */
export class SecondFactors {
    /** @param {import('./http.js').Http} http */
    constructor(http: import("./http.js").Http);
    /**
     * @returns {Promise<import('./schemas.js').SecondFactor>}
     */
    get(): Promise<import("./schemas.js").SecondFactor>;
    /**
     * A secret for an authenticator; it counts once `confirm` has seen a code of it.
     *
     * @param {import('./schemas.js').EnrolmentDraft} body
     * @returns {Promise<import('./schemas.js').Enrolment>}
     */
    enrol(body: import("./schemas.js").EnrolmentDraft): Promise<import("./schemas.js").Enrolment>;
    /**
     * Recovery codes, which are shown this once.
     *
     * @param {import('./schemas.js').ConfirmationDraft} body
     * @returns {Promise<import('./schemas.js').RecoveryCodes>}
     */
    confirm(body: import("./schemas.js").ConfirmationDraft): Promise<import("./schemas.js").RecoveryCodes>;
    /**
     * @param {import('./schemas.js').RemovalDraft} body
     * @returns {Promise<import('./schemas.js').RecoveryCodes>}
     */
    renewRecoveryCodes(body: import("./schemas.js").RemovalDraft): Promise<import("./schemas.js").RecoveryCodes>;
    /**
     * @param {import('./schemas.js').RemovalDraft} body
     * @returns {Promise<void>}
     */
    remove(body: import("./schemas.js").RemovalDraft): Promise<void>;
    #private;
}
