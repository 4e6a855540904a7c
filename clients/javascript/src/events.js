import { APIError, ConnectionFailed, QStoreError, Unauthenticated, UnexpectedAnswer, apiError } from './errors.js';
import { pause, sleep } from './retries.js';
import { messages } from './sse.js';

/** Without a connection for so many seconds a stream gives up. */
export const AWAY_SECONDS = 300;

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
  #http;

  /** @param {import('./http.js').Http} http */
  constructor(http) {
    this.#http = http;
  }

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
  async *subscribe(channels, { about, lastSeq, awaySeconds = AWAY_SECONDS, signal } = {}) {
    const named = channels.map((channel) => (about === undefined ? channel : `${channel}:${about}`)).join(',');
    let last = lastSeq === undefined ? null : channels.map(() => lastSeq).join(',');
    let [awaySince, attempt, renewed] = [performance.now(), 0, false];
    while (!signal?.aborted) {
      const stale = this.#http.token;
      /** @type {unknown} */
      let lost = null;
      try {
        const headers = /** @type {Record<string, string>} */ (last === null ? {} : { 'Last-Event-ID': last });
        const body = await this.#http.stream('/v1/events', { query: { channels: named }, headers, signal });
        for await (const { event, id, data } of messages(body)) {
          [awaySince, attempt, renewed] = [performance.now(), 0, false];
          last = id || last;
          if (event === 'fault') throw apiError(data.error);
          if (event === 'reset') yield { channel: data.channel, seq: data.seq, data: {}, reset: true };
          const channel = CHANNEL_OF[event] ?? event;
          const place = channels.indexOf(channel);
          if (place >= 0) yield { channel, seq: Number.parseInt(id.split(',')[place], 10), data, reset: false };
        }
      } catch (error) {
        if (signal?.aborted) return;
        if (error instanceof Unauthenticated) {
          if (renewed || !(await this.#http.renewed(stale))) throw error;
          renewed = true;
          continue;
        }
        const passing = error instanceof APIError && (error.code === 'UNAVAILABLE' || error.retryAfter !== null);
        if (error instanceof UnexpectedAnswer || (error instanceof QStoreError && !passing)) throw error;
        lost = error;
      }
      if (performance.now() - awaySince > 1000 * awaySeconds) {
        throw new ConnectionFailed(`${this.#http.baseUrl} stayed away`, { cause: lost });
      }
      await sleep(Math.min(2, pause(attempt)));
      attempt += 1;
    }
  }

  /**
   * What people of the organization want to know: ended jobs, deployments, alerts of the budget.
   *
   * @param {Listening} [options]
   * @returns {AsyncGenerator<import('./schemas.js').Notification, void, void>}
   */
  notifications(options) {
    return this.of('notifications', options);
  }

  /**
   * What the organization has spent, whenever that or the limit changes.
   *
   * @param {Listening} [options]
   * @returns {AsyncGenerator<import('./schemas.js').CostUpdate, void, void>}
   */
  costs(options) {
    return this.of('cost.updates', options);
  }

  /**
   * The payloads of one channel.
   *
   * @param {string} channel
   * @param {Listening} [options]
   * @returns {AsyncGenerator<any, void, void>}
   */
  async *of(channel, options) {
    for await (const event of this.subscribe([channel], options)) {
      if (!event.reset) yield { ...event.data, seq: event.seq };
    }
  }
}

/** Channels whose events have another name. @type {Record<string, string>} */
const CHANNEL_OF = { 'cost.update': 'cost.updates', notification: 'notifications' };
