/** Without a connection for so many seconds a stream gives up. */
export const AWAY_SECONDS: 300;
/**
 * @template [T=any]
 * @typedef {object} Event
 * @property {string} channel
 * @property {number} seq
 * @property {T} data
 * @property {boolean} reset Events were missed that nobody has any more: ask how things are.
 */
/**
 * @typedef {object} Listening
 * @property {string} [about] The id that the channels are about.
 * @property {number} [lastSeq] The last event that you have seen; of a job's channels.
 * @property {number} [awaySeconds] How long the server may be away.
 * @property {AbortSignal} [signal] Ends the stream.
 */
/** `GET /v1/events`: everything that happens, as it happens. */
export class Events {
    /** @param {import('./http.js').Http} http */
    constructor(http: import("./http.js").Http);
    /**
     * Events of channels until you stop listening; a lost connection is made again and goes on where it was.
     *
     * Throws `NotFound`, `Forbidden`, `ValidationFailed` or `Unauthenticated` where the subscription is refused or is over,
     * `ConnectionFailed` where the server stayed away.
     *
     * @param {string[]} channels
     * @param {Listening} [options]
     * @returns {AsyncGenerator<Event, void, void>}
     */
    subscribe(channels: string[], { about, lastSeq, awaySeconds, signal }?: Listening): AsyncGenerator<Event, void, void>;
    /**
     * What people of the organization want to know: ended jobs, deployments, alerts of the budget.
     *
     * @param {Listening} [options]
     * @returns {AsyncGenerator<import('./schemas.js').Notification, void, void>}
     */
    notifications(options?: Listening): AsyncGenerator<import("./schemas.js").Notification, void, void>;
    /**
     * What the organization has spent, whenever that or the limit changes.
     *
     * @param {Listening} [options]
     * @returns {AsyncGenerator<import('./schemas.js').CostUpdate, void, void>}
     */
    costs(options?: Listening): AsyncGenerator<import("./schemas.js").CostUpdate, void, void>;
    /**
     * The payloads of one channel.
     *
     * @param {string} channel
     * @param {Listening} [options]
     * @returns {AsyncGenerator<any, void, void>}
     */
    of(channel: string, options?: Listening): AsyncGenerator<any, void, void>;
    #private;
}
export type Event<T = any> = {
    channel: string;
    seq: number;
    data: T;
    /**
     * Events were missed that nobody has any more: ask how things are.
     */
    reset: boolean;
};
export type Listening = {
    /**
     * The id that the channels are about.
     */
    about?: string | undefined;
    /**
     * The last event that you have seen; of a job's channels.
     */
    lastSeq?: number | undefined;
    /**
     * How long the server may be away.
     */
    awaySeconds?: number | undefined;
    /**
     * Ends the stream.
     */
    signal?: AbortSignal | undefined;
};
