import { ConnectionFailed, JobFailed, QStoreError, Unauthenticated, Unavailable } from './errors.js';
import { AWAY_SECONDS } from './events.js';
import { at } from './http.js';
import { pause, sleep } from './retries.js';
import { messages } from './sse.js';

/**
 * @typedef {{signal?: AbortSignal, awaySeconds?: number}} Watching
 * @typedef {import('./schemas.js').JobProgress & {epoch: number, loss: number | null}} Progress
 */

/** States that a job does not leave. @type {Set<string>} */
const ENDED = new Set(['completed', 'failed', 'cancelled']);

const PATH = '/v1/jobs';

/** Training jobs: submit, watch, stop, go on, repeat. */
export class Jobs {
  #http;
  #events;

  /** @param {import('./http.js').Http} http @param {import('./events.js').Events} events */
  constructor(http, events) {
    this.#http = http;
    this.#events = events;
  }

  /**
   * Train a model. `id` of the answer is the job's. Throws `ValidationFailed`, `BudgetExceeded`, `BackendUnavailable`,
   * `DatasetMissing` or `InsufficientMemory` where it was not taken.
   *
   * @param {import('./schemas.js').JobDraft} body
   * @param {{idempotencyKey?: string}} [options]
   * @returns {Promise<import('./schemas.js').Submitted & {id: string}>}
   */
  async submit(body, options = {}) {
    return identified(await this.#http.ask('POST', PATH, { json: body, ...options }));
  }

  /**
   * What a job would take and cost, without submitting it.
   *
   * @param {import('./schemas.js').JobDraft} body
   * @returns {Promise<import('./schemas.js').Estimate>}
   */
  async estimate(body) {
    return this.#http.ask('POST', `${PATH}/estimate`, { json: body });
  }

  /**
   * Jobs, those in one of the states `status`; `progress` is a percentage.
   *
   * @param {{status?: string | string[], limit?: number, offset?: number, sort?: string}} [options]
   * @returns {Promise<import('./pages.js').Page<import('./schemas.js').JobSummary>>}
   */
  async list(options = {}) {
    return this.#http.page(PATH, options);
  }

  /**
   * @param {{status?: string | string[], sort?: string, pageSize?: number}} [options]
   * @returns {AsyncGenerator<import('./schemas.js').JobSummary, void, void>}
   */
  iterate(options) {
    return this.#http.rows(PATH, options);
  }

  /**
   * @param {string} id
   * @returns {Promise<import('./schemas.js').Job>}
   */
  async get(id) {
    return this.#http.ask('GET', at(PATH, id));
  }

  /**
   * Within two seconds; the last checkpoint is kept.
   *
   * @param {string} id
   * @returns {Promise<import('./schemas.js').JobState>}
   */
  async cancel(id) {
    return this.#http.ask('POST', at(PATH, id, 'cancel'));
  }

  /**
   * @param {string} id
   * @returns {Promise<import('./schemas.js').JobState>}
   */
  async pause(id) {
    return this.#http.ask('POST', at(PATH, id, 'pause'));
  }

  /**
   * @param {string} id
   * @returns {Promise<import('./schemas.js').JobState>}
   */
  async resume(id) {
    return this.#http.ask('POST', at(PATH, id, 'resume'));
  }

  /**
   * Train further where an ended job stopped, in a new job.
   *
   * @param {string} id
   * @param {import('./schemas.js').ContinueDraft} [body]
   * @param {{idempotencyKey?: string}} [options]
   * @returns {Promise<import('./schemas.js').Submitted & {id: string}>}
   */
  async continue(id, body = {}, options = {}) {
    return identified(await this.#http.ask('POST', at(PATH, id, 'continue'), { json: body, ...options }));
  }

  /**
   * Run an ended job again, in a new job that says whether it was the same, bit for bit.
   *
   * @param {string} id
   * @param {{idempotencyKey?: string}} [options]
   * @returns {Promise<import('./schemas.js').Submitted & {id: string}>}
   */
  async replay(id, options = {}) {
    return identified(await this.#http.ask('POST', at(PATH, id, 'replay'), options));
  }

  /**
   * Raise the limit; where it was paused for that, it goes on.
   *
   * @param {string} id
   * @param {import('./schemas.js').TopUpDraft} body
   * @param {{idempotencyKey?: string}} [options]
   * @returns {Promise<import('./schemas.js').Job>}
   */
  async topUp(id, body, options = {}) {
    return this.#http.ask('POST', at(PATH, id, 'top-up'), { json: body, ...options });
  }

  /**
   * The last lines, of `level` and above.
   *
   * @param {string} id
   * @param {{lines?: number, level?: string}} [options]
   * @returns {Promise<import('./schemas.js').LogLine[]>}
   */
  async logs(id, options = {}) {
    return (await this.#http.ask('GET', at(PATH, id, 'logs'), { query: options })).logs;
  }


  // Watching

  /**
   * How far a job is now, and then each epoch and each change of its state, until it has ended. Nothing is missed and nothing
   * comes twice, whatever becomes of the connection. Throws `NotFound` where there is no such job, `ConnectionFailed` where the
   * server stayed away.
   *
   * @param {string} id
   * @param {Watching} [options]
   * @returns {AsyncGenerator<Progress, void, void>}
   */
  async *streamProgress(id, options) {
    const job = await this.get(id);
    yield progressOf(job);
    if (ENDED.has(job.status)) return;
    let newest = job.seq;
    for await (const event of this.#events.subscribe(['job.progress'], { ...options, about: id, lastSeq: job.seq })) {
      const update = event.reset ? progressOf(await this.get(id)) : told(event);
      // What the job itself said after a reset is newer than some that is told then.
      if (update.seq <= newest) continue;
      newest = update.seq;
      yield update;
      if (ENDED.has(update.status)) return;
    }
  }

  /**
   * The metrics of each epoch from now on, until the job has ended.
   *
   * @param {string} id
   * @param {Watching} [options]
   * @returns {AsyncGenerator<import('./schemas.js').JobMetrics, void, void>}
   */
  async *streamMetrics(id, options) {
    const job = await this.get(id);
    let [epoch, last, ended] = [job.progress.current_epoch, job.progress.current_epoch, ENDED.has(job.status)];
    if (ended) return;
    const channels = ['job.metrics', 'job.progress'];
    for await (const event of this.#events.subscribe(channels, { ...options, about: id, lastSeq: job.seq })) {
      if (event.reset) {
        const now = await this.get(id);
        epoch = last = now.progress.current_epoch;
        ended = ENDED.has(now.status);
      } else if (event.channel === 'job.metrics') {
        epoch = event.data.epoch;
        yield { ...event.data, seq: event.seq };
      } else {
        last = event.data.current_epoch;
        ended = ENDED.has(event.data.status);
      }
      // The end may be told before the last metrics.
      if (ended && epoch >= last) return;
    }
  }

  /**
   * The last lines and then each that comes, until the job has ended.
   *
   * @param {string} id
   * @param {Watching & {lines?: number, level?: string}} [options]
   * @returns {AsyncGenerator<import('./schemas.js').LogLine, void, void>}
   */
  async *followLogs(id, { lines = 100, level, signal, awaySeconds = AWAY_SECONDS } = {}) {
    let last = '';
    let [awaySince, attempt] = [performance.now(), 0];
    while (!signal?.aborted) {
      const stale = this.#http.token;
      try {
        const headers = /** @type {Record<string, string>} */ (last ? { 'Last-Event-ID': last } : {});
        const body = await this.#http.stream(at(PATH, id, 'logs'), { query: { lines, level, follow: true }, headers, signal });
        for await (const message of messages(body)) {
          [awaySince, attempt] = [performance.now(), 0];
          last = message.id || last;
          if (message.event !== 'bye') yield message.data;
        }
        // A stream ends with its job, and also with its server or its authority.
        if (ENDED.has((await this.get(id)).status)) return;
      } catch (error) {
        if (signal?.aborted) return;
        if (error instanceof Unauthenticated) {
          if (attempt || !(await this.#http.renewed(stale))) throw error;
        } else if (error instanceof QStoreError && !(error instanceof Unavailable)) throw error;
        if (performance.now() - awaySince > 1000 * awaySeconds) {
          throw new ConnectionFailed(`${this.#http.baseUrl} stayed away`, { cause: error });
        }
      }
      await sleep(Math.min(2, pause(attempt)));
      attempt += 1;
    }
  }

  /**
   * The job, once it has ended. Throws `JobFailed` where it did not complete, unless `check` is false.
   *
   * @param {string} id
   * @param {Watching & {check?: boolean, onProgress?: (update: Progress) => void}} [options]
   * @returns {Promise<import('./schemas.js').Job>}
   */
  async wait(id, { check = true, onProgress, ...options } = {}) {
    for await (const update of this.streamProgress(id, options)) onProgress?.(update);
    const job = await this.get(id);
    if (check && job.status !== 'completed') throw new JobFailed(job);
    return job;
  }
}

/** How far a job is, as an update. @param {import('./schemas.js').Job} job @returns {Progress} */
function progressOf(job) {
  const { id, status, progress, reason, model_id, updated_at, seq } = job;
  return {
    job_id: id,
    status,
    ...progress,
    reason,
    model_id,
    timestamp: updated_at,
    seq,
    epoch: progress.current_epoch,
    loss: progress.current_loss,
  };
}

/** @param {import('./events.js').Event} event @returns {Progress} */
function told({ data, seq }) {
  return { ...data, seq, epoch: data.current_epoch, loss: data.current_loss };
}

/** @param {any} submitted */
function identified(submitted) {
  return { ...submitted, id: submitted.job_id };
}
