import { ApiKeys } from './api_keys.js';
import { Audit } from './audit.js';
import { Auth } from './auth.js';
import { Backends } from './backends.js';
import { Budget } from './budget.js';
import { Circuits } from './circuits.js';
import { Datasets } from './datasets.js';
import { Downloads } from './downloads.js';
import { Deployments } from './deployments.js';
import { Events } from './events.js';
import { GraphQL } from './graphql.js';
import { Invitations } from './invitations.js';
import { Jobs } from './jobs.js';
import { Models } from './models.js';
import { Organizations } from './organization.js';
import { Outbox } from './outbox.js';
import { Probes } from './probes.js';
import { Roles } from './roles.js';
import { SecondFactors } from './second_factor.js';
import { Sessions } from './sessions.js';
import { Sweeps } from './sweeps.js';
import { Usage } from './usage.js';
import { Users } from './users.js';
import { Webhooks } from './webhooks.js';
import { Workers } from './workers.js';
import { Http } from './http.js';

/** Where a development server listens (the specification's "Base URL"). */
const DEVELOPMENT = 'http://localhost:8000';

/**
 * A client of one Q-Store server: every noun of the API, in the order of its documentation.
 *
 * Credentials are an API key (else `$QSTORE_API_KEY`, where nothing else is given), or tokens, or a user.
 */
export class QStoreClient {
  /** @param {import('./http.js').Credentials & import('./http.js').Options} [options] */
  constructor(options = {}) {
    const given = ['apiKey', 'token', 'refreshToken', 'email'].some((name) => name in options);
    const apiKey = given ? options.apiKey : environment('QSTORE_API_KEY');
    const page = globalThis.location?.origin;
    const own = page && page !== 'null' ? page : undefined;
    const http = new Http(address(options.baseUrl ?? environment('QSTORE_URL') ?? own ?? DEVELOPMENT), { ...options, apiKey });
    this.events = new Events(http);
    this.auth = new Auth(http);
    this.users = new Users(http);
    this.secondFactor = new SecondFactors(http);
    this.sessions = new Sessions(http);
    this.organization = new Organizations(http);
    this.roles = new Roles(http);
    this.invitations = new Invitations(http);
    this.apiKeys = new ApiKeys(http);
    this.circuits = new Circuits(http);
    this.datasets = new Datasets(http);
    this.jobs = new Jobs(http, this.events);
    this.sweeps = new Sweeps(http);
    this.models = new Models(http);
    this.deployments = new Deployments(http, this.events);
    this.backends = new Backends(http, this.events);
    this.usage = new Usage(http);
    this.budget = new Budget(http);
    this.outbox = new Outbox(http);
    this.webhooks = new Webhooks(http);
    this.audit = new Audit(http);
    this.workers = new Workers(http);
    this.downloads = new Downloads(http);
    this.graphql = new GraphQL(http);
    this.probes = new Probes(http);
  }
}

/** Without the `/v1` that the specification's base URLs end with. @param {string} url */
function address(url) {
  return url.replace(/\/+$/, '').replace(/\/v1$/, '').replace(/\/+$/, '');
}

/** @param {string} name @returns {string | undefined} */
function environment(name) {
  const process = /** @type {any} */ (globalThis).process;
  return process?.env?.[name] || undefined;
}
