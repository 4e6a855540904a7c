import { APIError, ConnectionFailed, Unauthenticated, UnexpectedAnswer, apiError } from './errors.js';
import { Page } from './pages.js';
import { PROXIES, pause, pauseAfter, sleep } from './retries.js';

const SIGN_IN = '/v1/auth/token';
/** An access token is renewed so many seconds before it ends. */
const BEFORE_END = 60;

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
  #apiKey;
  #token;
  #refreshToken;
  /** @type {{email: string, password: string} | null} */
  #login;
  /** When the token ends, by the clock that nobody sets; null where nobody said. @type {number | null} */
  #ends = null;
  /** @type {Promise<unknown>} */
  #renewing = Promise.resolve();
  #fetch;
  #timeout;
  #retries;
  #longestWait;

  /** @param {string} baseUrl @param {Credentials & Options} options */
  constructor(baseUrl, options) {
    this.baseUrl = baseUrl;
    this.#apiKey = options.apiKey ?? null;
    this.#token = options.token ?? null;
    this.#refreshToken = options.refreshToken ?? null;
    const { email, password } = options;
    this.#login = email !== undefined && password !== undefined ? { email, password } : null;
    this.#fetch = options.fetch ?? globalThis.fetch.bind(globalThis);
    this.#timeout = options.timeout ?? 60;
    this.#retries = options.retries ?? 5;
    this.#longestWait = options.longestWait ?? 60;
  }

  // Credentials -----------------------------------------------------------------------------------------------------

  /** From now on as that user, however long it takes. @param {string} email @param {string} password @param {string} [code] */
  async signIn(email, password, code) {
    return this.#alone(async () => {
      // A code of a second factor works once, so that nobody can sign in again with it.
      this.#login = code === undefined ? { email, password } : null;
      const grant = { grant_type: 'password', email, password };
      return this.#grant(code === undefined ? grant : { ...grant, code });
    });
  }

  /**
   * Trade the refresh token for new ones, or sign in again.
   *
   * @param {string | null} stale The access token that did not work; somebody else may have renewed it meanwhile.
   * @returns {Promise<boolean>} Whether there is another token now.
   */
  async renew(stale) {
    return this.#alone(async () => {
      if (this.#token !== stale) return true;
      if (this.#refreshToken !== null) {
        const refresh_token = this.#refreshToken;
        // A refresh token works once: whatever comes of it, it is not sent again.
        this.#refreshToken = null;
        try {
          await this.#grant({ grant_type: 'refresh_token', refresh_token });
          return true;
        } catch (error) {
          if (!(error instanceof Unauthenticated)) throw error;
        }
      }
      if (this.#login === null) return false;
      await this.#grant({ grant_type: 'password', ...this.#login });
      return true;
    });
  }

  /** Signed out. */
  forget() {
    this.#token = this.#refreshToken = this.#login = this.#ends = null;
  }

  /** Whether what was refused may be asked again with another token. @param {string | null} stale */
  async renewed(stale) {
    return this.#apiKey === null && (await this.renew(stale));
  }

  get token() {
    return this.#token;
  }

  /** @template T @param {() => Promise<T>} act @returns {Promise<T>} */
  #alone(act) {
    const mine = this.#renewing.then(act, act);
    this.#renewing = mine.catch(() => undefined);
    return mine;
  }

  /** @param {Record<string, string>} grant @returns {Promise<import('./schemas.js').Tokens>} */
  async #grant(grant) {
    const answer = await this.#send('POST', SIGN_IN, { json: grant }, false);
    return this.take((await answer.json()).data);
  }

  /** Ask with these from now on. @param {import('./schemas.js').Tokens} tokens */
  take(tokens) {
    this.#apiKey = null;
    this.#token = tokens.access_token;
    this.#refreshToken = tokens.refresh_token;
    this.#ends = performance.now() / 1000 + tokens.expires_in;
    return tokens;
  }

  /** @returns {Promise<Record<string, string>>} */
  async #headers() {
    if (this.#apiKey !== null) return { 'X-API-Key': this.#apiKey };
    const canRenew = this.#login !== null || this.#refreshToken !== null;
    const ends = this.#ends !== null && performance.now() / 1000 > this.#ends - BEFORE_END;
    if (canRenew && (this.#token === null || ends)) await this.renew(this.#token);
    return this.#token === null ? {} : { Authorization: `Bearer ${this.#token}` };
  }

  // Asking ----------------------------------------------------------------------------------------------------------

  /** `data` of an answer in the API's envelope. @param {string} method @param {string} path @param {More} [more] */
  async ask(method, path, more) {
    return (await this.answer(method, path, more)).data;
  }

  /**
   * @template T
   * @param {string} path
   * @param {Record<string, unknown>} query
   * @returns {Promise<Page<T>>}
   */
  async page(path, query) {
    const { data, meta } = await this.answer('GET', path, { query });
    return new Page(data, meta);
  }

  /**
   * All rows of a list, page after page; none twice where others come in meanwhile.
   *
   * @template T
   * @param {string} path
   * @param {Record<string, unknown> & {pageSize?: number}} [options]
   * @returns {AsyncGenerator<T, void, void>}
   */
  async *rows(path, { pageSize = 100, ...query } = {}) {
    const seen = new Set();
    for (let offset = 0; ; ) {
      const page = /** @type {Page<any>} */ (await this.page(path, { ...query, limit: pageSize, offset }));
      for (const row of page) {
        if (row.id !== undefined && seen.has(row.id)) continue;
        seen.add(row.id);
        yield row;
      }
      offset += page.length;
      if (!page.length || offset >= page.total) return;
    }
  }

  /** @param {string} method @param {string} path @param {More} [more] @returns {Promise<{data: any, meta: any}>} */
  async answer(method, path, more) {
    const answered = await this.send(method, path, more);
    if (answered.status === 204) return { data: undefined, meta: {} };
    const body = await answered.json().catch(() => null);
    if (typeof body?.meta !== 'object' || !('data' in body)) {
      throw new UnexpectedAnswer(`${method} ${path} was answered by something that is no Q-Store server`);
    }
    return body;
  }

  /** @param {string} path @param {Record<string, unknown>} [query] */
  async text(path, query) {
    return (await this.send('GET', path, { query })).text();
  }

  /**
   * One request that succeeded. Throws `APIError` where it was refused, `ConnectionFailed` where it was never answered.
   *
   * @param {string} method @param {string} path @param {More} [more]
   */
  send(method, path, more = {}) {
    return this.#send(method, path, more, true);
  }

  /**
   * The messages of a stream, as they come. Not tried again: who reads it knows where to go on.
   *
   * @param {string} path @param {More} more
   */
  async stream(path, more) {
    const headers = { Accept: 'text/event-stream', ...more.headers, ...(await this.#headers()) };
    const answered = await this.#fetch(this.#url(path, more.query), { headers, signal: more.signal, redirect: 'error' });
    if (!answered.ok) throw await refusal(answered);
    if (answered.body === null) throw new UnexpectedAnswer(`GET ${path} was answered without a body`);
    return answered.body;
  }

  /** @param {string} path @param {Record<string, unknown>} [query] */
  #url(path, query = {}) {
    const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null);
    const said = new URLSearchParams(given.map(([name, value]) => [name, String(value)]));
    return `${this.baseUrl}${path}${given.length ? `?${said}` : ''}`;
  }

  /** @param {string} method @param {string} path @param {More} more @param {boolean} signedIn */
  async #send(method, path, more, signedIn) {
    const wanted = { ...more.headers };
    if (more.json !== undefined) wanted['Content-Type'] = 'application/json';
    if (method === 'POST' && signedIn) wanted['Idempotency-Key'] = more.idempotencyKey ?? randomKey();
    const body = more.json === undefined ? undefined : JSON.stringify(more.json, finite);
    let renewed = false;
    for (let attempt = 0; ; attempt += 1) {
      const own = signedIn ? await this.#headers() : {};
      const signal = AbortSignal.timeout(1000 * this.#timeout);
      let wait;
      try {
        const answered = await this.#fetch(this.#url(path, more.query), {
          method,
          headers: { ...wanted, ...own },
          body: more.form ? more.form() : body,
          redirect: 'error',
          signal,
        });
        if (answered.ok) return answered;
        const refused = await refusal(answered);
        if (refused instanceof Unauthenticated && signedIn && !renewed && this.#apiKey === null) {
          renewed = true;
          if (await this.renew(own.Authorization?.slice('Bearer '.length) ?? null)) continue;
        }
        const later = pauseAfter(refused, attempt, this.#longestWait);
        if (later === null || attempt >= this.#retries) throw refused;
        wait = later;
      } catch (error) {
        if (error instanceof APIError || error instanceof ConnectionFailed) throw error;
        // Whether a grant was given nobody knows, and a refresh token works once.
        if (attempt >= this.#retries || !(signedIn || unsent(error))) {
          throw new ConnectionFailed(`${method} ${this.baseUrl}${path}: ${reason(error)}`, { cause: error });
        }
        wait = pause(attempt);
      }
      await sleep(wait);
    }
  }
}

/** What a refusing answer means, also that of a proxy. @param {Response} answered */
export async function refusal(answered) {
  const said = answered.headers.get('Retry-After') ?? '';
  const retryAfter = /^\d+$/.test(said) ? Number(said) : null;
  const { status } = answered;
  const requestId = answered.headers.get('X-Request-ID');
  const body = await answered.json().catch(() => null);
  if (typeof body?.error?.code === 'string') return apiError(body.error, { status, requestId, retryAfter });
  const code = PROXIES.has(status) ? 'UNAVAILABLE' : 'UNEXPECTED';
  return apiError({ code, message: `${status}, from something that is no Q-Store server` }, { status, retryAfter });
}

/** Whether the connection was never made. @param {any} error */
function unsent(error) {
  return ['ECONNREFUSED', 'ENOTFOUND', 'EHOSTUNREACH', 'UND_ERR_CONNECT_TIMEOUT'].includes(error?.cause?.code);
}

/** @param {any} error */
function reason(error) {
  return error?.cause?.message || error?.message || String(error);
}

/** JSON has no NaN and no infinity, and `JSON.stringify` would write null. @param {string} key @param {unknown} value */
function finite(key, value) {
  if (typeof value === 'number' && !Number.isFinite(value)) throw new RangeError(`${key || 'a number'} is ${value}`);
  return ArrayBuffer.isView(value) && !(value instanceof DataView) ? Array.from(/** @type {any} */ (value)) : value;
}

function randomKey() {
  // Not `crypto.randomUUID`, which pages have in secure contexts alone.
  return Array.from({ length: 4 }, () => Math.floor(Math.random() * 2 ** 32).toString(16).padStart(8, '0')).join('');
}

/** @param {string} path @param {...string} parts */
export function at(path, ...parts) {
  return [path, ...parts.map(encodeURIComponent)].join('/');
}
