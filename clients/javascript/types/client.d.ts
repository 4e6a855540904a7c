/**
 * A client of one Q-Store server: every noun of the API, in the order of its documentation.
 *
 * Credentials are an API key (else `$QSTORE_API_KEY`, where nothing else is given), or tokens, or a user.
 */
export class QStoreClient {
    /** @param {import('./http.js').Credentials & import('./http.js').Options} [options] */
    constructor(options?: import("./http.js").Credentials & import("./http.js").Options);
    events: Events;
    auth: Auth;
    users: Users;
    secondFactor: SecondFactors;
    sessions: Sessions;
    organization: Organizations;
    roles: Roles;
    invitations: Invitations;
    apiKeys: ApiKeys;
    circuits: Circuits;
    datasets: Datasets;
    jobs: Jobs;
    sweeps: Sweeps;
    models: Models;
    deployments: Deployments;
    backends: Backends;
    usage: Usage;
    budget: Budget;
    outbox: Outbox;
    webhooks: Webhooks;
    audit: Audit;
    workers: Workers;
    downloads: Downloads;
    graphql: GraphQL;
    probes: Probes;
}
import { Events } from './events.js';
import { Auth } from './auth.js';
import { Users } from './users.js';
import { SecondFactors } from './second_factor.js';
import { Sessions } from './sessions.js';
import { Organizations } from './organization.js';
import { Roles } from './roles.js';
import { Invitations } from './invitations.js';
import { ApiKeys } from './api_keys.js';
import { Circuits } from './circuits.js';
import { Datasets } from './datasets.js';
import { Jobs } from './jobs.js';
import { Sweeps } from './sweeps.js';
import { Models } from './models.js';
import { Deployments } from './deployments.js';
import { Backends } from './backends.js';
import { Usage } from './usage.js';
import { Budget } from './budget.js';
import { Outbox } from './outbox.js';
import { Webhooks } from './webhooks.js';
import { Audit } from './audit.js';
import { Workers } from './workers.js';
import { Downloads } from './downloads.js';
import { GraphQL } from './graphql.js';
import { Probes } from './probes.js';
