/** What a refusing answer means, also that of a proxy. @param {Response} answered */
export function refusal(answered: Response): Promise<APIError>;
/** @param {string} path @param {...string} parts */
export function at(path: string, ...parts: string[]): string;
/**
 * @typedef {object} Credentials
 * @property {string} [apiKey] `qsk_…`.
 * @property {string} [token] An access token.
 * @property {string} [refreshToken] Trades itself for new tokens when the access token ends.
 * @property {string} [email] Signs in when it is first needed, and again when the session has ended.
 * @property {string} [password]
 */
/**
 * @typedef {object} Options
 * @property {string} [baseUrl] The server's address; else `$QSTORE_URL`, else in a page its own, else `http://localhost:8000`.
 * @property {number} [timeout] Seconds that an answer may take.
 * @property {number} [retries] How often a request is sent again that found no server, a busy one, or an empty bucket. Every
 *     POST carries an `Idempotency-Key`, so what was done is not done twice.
 * @property {number} [longestWait] Seconds that the server may ask to wait before another try; beyond that its error is
 *     thrown.
 * @property {typeof fetch} [fetch] Instead of the platform's.
 */
/**
 * @typedef {object} More
 * @property {Record<string, unknown>} [query]
 * @property {unknown} [json] A body.
 * @property {() => FormData} [form] Makes a body, anew for each attempt.
 * @property {string} [idempotencyKey] One is made up where none is given, so every POST may be sent again.
 * @property {Record<string, string>} [headers]
 * @property {AbortSignal} [signal]
 */
/** One request: credentials, retries, and what the answer means. Everything that asks goes through here. */
export class Http {
    /** @param {string} baseUrl @param {Credentials & Options} options */
    constructor(baseUrl: string, options: Credentials & Options);
    baseUrl: string;
    /** From now on as that user, however long it takes. @param {string} email @param {string} password @param {string} [code] */
    signIn(email: string, password: string, code?: string): Promise<import("./schemas.js").Tokens>;
    /**
     * Trade the refresh token for new ones, or sign in again.
     *
     * @param {string | null} stale The access token that did not work; somebody else may have renewed it meanwhile.
     * @returns {Promise<boolean>} Whether there is another token now.
     */
    renew(stale: string | null): Promise<boolean>;
    /** Signed out. */
    forget(): void;
    /** Whether what was refused may be asked again with another token. @param {string | null} stale */
    renewed(stale: string | null): Promise<boolean>;
    get token(): string | null;
    /** Ask with these from now on. @param {import('./schemas.js').Tokens} tokens */
    take(tokens: import("./schemas.js").Tokens): import("./schemas.js").Tokens;
    /** `data` of an answer in the API's envelope. @param {string} method @param {string} path @param {More} [more] */
    ask(method: string, path: string, more?: More): Promise<any>;
    /**
     * @template T
     * @param {string} path
     * @param {Record<string, unknown>} query
     * @returns {Promise<Page<T>>}
     */
    page<T>(path: string, query: Record<string, unknown>): Promise<Page<T>>;
    /**
     * All rows of a list, page after page; none twice where others come in meanwhile.
     *
     * @template T
     * @param {string} path
     * @param {Record<string, unknown> & {pageSize?: number}} [options]
     * @returns {AsyncGenerator<T, void, void>}
     */
    rows<T>(path: string, { pageSize, ...query }?: Record<string, unknown> & {
        pageSize?: number;
    }): AsyncGenerator<T, void, void>;
    /** @param {string} method @param {string} path @param {More} [more] @returns {Promise<{data: any, meta: any}>} */
    answer(method: string, path: string, more?: More): Promise<{
        data: any;
        meta: any;
    }>;
    /** @param {string} path @param {Record<string, unknown>} [query] */
    text(path: string, query?: Record<string, unknown>): Promise<string>;
    /**
     * One request that succeeded. Throws `APIError` where it was refused, `ConnectionFailed` where it was never answered.
     *
     * @param {string} method @param {string} path @param {More} [more]
     */
    send(method: string, path: string, more?: More): Promise<Response>;
    /**
     * The messages of a stream, as they come. Not tried again: who reads it knows where to go on.
     *
     * @param {string} path @param {More} more
     */
    stream(path: string, more: More): Promise<ReadableStream<Uint8Array<ArrayBuffer>>>;
    #private;
}
export type Credentials = {
    /**
     * `qsk_…`.
     */
    apiKey?: string | undefined;
    /**
     * An access token.
     */
    token?: string | undefined;
    /**
     * Trades itself for new tokens when the access token ends.
     */
    refreshToken?: string | undefined;
    /**
     * Signs in when it is first needed, and again when the session has ended.
     */
    email?: string | undefined;
    password?: string | undefined;
};
export type Options = {
    /**
     * The server's address; else `$QSTORE_URL`, else in a page its own, else `http://localhost:8000`.
     */
    baseUrl?: string | undefined;
    /**
     * Seconds that an answer may take.
     */
    timeout?: number | undefined;
    /**
     * How often a request is sent again that found no server, a busy one, or an empty bucket. Every
     * POST carries an `Idempotency-Key`, so what was done is not done twice.
     */
    retries?: number | undefined;
    /**
     * Seconds that the server may ask to wait before another try; beyond that its error is
     * thrown.
     */
    longestWait?: number | undefined;
    /**
     * Instead of the platform's.
     */
    fetch?: typeof fetch | undefined;
};
export type More = {
    query?: Record<string, unknown> | undefined;
    /**
     * A body.
     */
    json?: unknown;
    /**
     * Makes a body, anew for each attempt.
     */
    form?: (() => FormData) | undefined;
    /**
     * One is made up where none is given, so every POST may be sent again.
     */
    idempotencyKey?: string | undefined;
    headers?: Record<string, string> | undefined;
    signal?: AbortSignal | undefined;
};
import { APIError } from './errors.js';
import { Page } from './pages.js';
