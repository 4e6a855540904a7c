/** The month's budget. */
export class Budget {
    /** @param {import('./http.js').Http} http */
    constructor(http: import("./http.js").Http);
    /**
     * The limit, what is spent and reserved of it, and where the month is heading.
     * @returns {Promise<import('./schemas.js').Budget>}
     */
    get(): Promise<import("./schemas.js").Budget>;
    /**
     * `monthly_limit` in US dollars, null for no limit; alerts that were there stay, if none are given.
     *
     * @param {import('./schemas.js').BudgetDraft} body
     * @returns {Promise<import('./schemas.js').Budget>}
     */
    update(body: import("./schemas.js").BudgetDraft): Promise<import("./schemas.js").Budget>;
    /**
     * Send a test message to every destination of the alerts.
     * @returns {Promise<import('./schemas.js').SentLetter[]>}
     */
    testAlerts(): Promise<import("./schemas.js").SentLetter[]>;
    #private;
}
