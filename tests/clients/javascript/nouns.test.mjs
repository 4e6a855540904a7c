/** Every noun against a real server, as one program would use it. Run by `node --test`; see test_nouns.py. */

import assert from 'node:assert/strict';
import http from 'node:http';
import { test } from 'node:test';

import { ConnectionFailed, QStoreClient, errors } from './qstore.mjs';

const { QSTORE_URL, QSTORE_API_KEY, EMAIL, PASSWORD, RIVAL } = process.env;
const client = new QStoreClient();
const user = (email = EMAIL) => new QStoreClient({ baseUrl: QSTORE_URL, email, password: PASSWORD });

const qubits = [0, 1, 2, 3];
const gates = [
  ...qubits.map((q) => ({ type: 'RY', targets: [q], parameters: { theta: `theta_${q}` } })),
  ...[0, 1, 2].map((q) => ({ type: 'CNOT', targets: [q, q + 1] })),
];
const config = { epochs: 3, seed: 1, dataset: { type: 'iris', features: { method: 'none', scale: 'angle' } } };
const draft = (name) => ({ name, n_qubits: 4, gates, metadata: { tags: ['js', name] } });

async function collected(stream) {
  const found = [];
  for await (const one of stream) found.push(one);
  return found;
}

test('circuits come and go', async () => {
  const circuit = await client.circuits.create(draft('kept'));
  assert.equal((await client.circuits.update(circuit.id, { name: 'renamed' })).name, 'renamed');
  await client.circuits.delete(circuit.id);
  await assert.rejects(client.circuits.get(circuit.id), errors.NotFound);
  assert.equal((await client.circuits.restore(circuit.id)).id, circuit.id);
  for (const name of ['a', 'b', 'c']) await client.circuits.create(draft(name));
  const all = await collected(client.circuits.iterate({ tags: ['js'], pageSize: 2 }));
  assert.equal(new Set(all.map((row) => row.id)).size, 4);
  assert.equal((await client.circuits.list({ tags: 'a' })).total, 1);
  const run = await client.circuits.run(circuit.id, {
    parameters: Object.fromEntries(qubits.map((q) => [`theta_${q}`, 0])),
    observables: ['Z0'],
  });
  assert.equal(run.expectations[0].value, 1);
  assert.match(await client.circuits.drawing(circuit.id), /^<svg/);
  const smaller = await client.circuits.optimize(circuit.id, { optimization_level: 3 });
  assert.ok(smaller.certificate.equivalent);
  assert.ok((await client.circuits.compare(circuit.id, smaller.optimized_circuit_id)).equivalent);
  await client.circuits.update(circuit.id, { gates: [{ type: 'H', targets: [0] }] });
  assert.deepEqual((await client.circuits.versions(circuit.id)).items.map((row) => row.version), [2, 1]);
  assert.ok((await client.circuits.version(circuit.id, 1)).gate_count > 0);
  assert.equal((await client.circuits.diff(circuit.id, { a: 2, b: 2 })).diff.removed, 0);
});

test('a job, its model, its deployment, its cost', async () => {
  const circuit = await client.circuits.create(draft('trained'));
  assert.ok((await client.jobs.estimate({ circuit_id: circuit.id, config })).backend);
  const job = await client.jobs.submit({ circuit_id: circuit.id, config: { ...config, epochs: 12 }, project: 'js' });
  const [updates, metrics, lines] = await Promise.all([
    collected(client.jobs.streamProgress(job.id)),
    collected(client.jobs.streamMetrics(job.id)),
    collected(client.jobs.followLogs(job.id)),
  ]);
  const seqs = updates.map((one) => one.seq);
  assert.deepEqual(seqs, [...new Set(seqs)].sort((a, b) => a - b));
  assert.equal(updates.at(-1).status, 'completed');
  const epochs = metrics.map((one) => one.epoch);
  assert.deepEqual(epochs, epochs.map((_, k) => 12 - epochs.length + 1 + k));
  assert.ok(lines.some((line) => line.message.startsWith('Completed')));
  const ended = await client.jobs.wait(job.id);
  const started = await client.models.deploy(ended.model_id);
  assert.equal((await client.deployments.wait(started.deployment_id)).status, 'deployed');
  const answer = await client.models.predict(ended.model_id, [new Float32Array(4), [1, 2, 3, 4]]);
  assert.equal(answer.predictions.length, 2);
  await assert.rejects(client.models.predict(ended.model_id, [[Number.NaN, 1, 1, 1]]), RangeError);
  const wrong = await client.models.predict(ended.model_id, [[1]]).catch((error) => error);
  assert.ok(wrong instanceof errors.ValidationFailed, String(wrong));
  const further = await client.jobs.continue(job.id, { epochs: 2 });
  assert.equal((await client.jobs.wait(further.id)).status, 'completed');
  assert.equal((await client.jobs.replay(job.id)).status, 'queued');
  assert.ok((await client.usage.get({ group_by: 'project' })).total_circuits > 0);
  assert.match(await client.usage.csv(), /circuits/);
  const { model_id: other } = await client.jobs.get(further.id);
  assert.equal((await client.models.update(other, { name: 'irises', version: '0.1.0', tags: ['ours'] })).version, '0.1.0');
  assert.equal((await client.models.promote(other, 'production')).stage, 'production');
  assert.equal((await client.models.list({ name: 'irises', stage: 'production', tags: ['ours'] })).total, 1);
  assert.equal((await client.models.compare(ended.model_id, other)).same_circuit, true);
  const archive = await client.models.export(other);
  assert.deepEqual((await client.models.verify(archive)).signer, await client.models.signer());
  assert.equal((await client.models.import(archive, { version: '0.2.0' })).lineage.imported.model_id, other);
  await assert.rejects(client.models.import(archive), errors.Conflict);
  await client.models.delete(other);
  assert.equal((await client.models.restore(other)).stage, null);
  assert.ok((await client.models.metrics(ended.model_id, { window: '1d' })).requests > 0);
  assert.equal((await client.models.retire(ended.model_id)).status, 'retired');
  await assert.rejects(client.models.predict(ended.model_id, [[1, 2, 3, 4]]), errors.Gone);
});

test('pause, resume, cancel, and a wait that says so', async () => {
  const circuit = await client.circuits.create(draft('long'));
  const job = await client.jobs.submit({ circuit_id: circuit.id, config: { ...config, epochs: 100_000 } });
  for await (const update of client.jobs.streamProgress(job.id)) if (update.epoch > 1) break;
  await client.jobs.pause(job.id);
  for await (const update of client.jobs.streamProgress(job.id)) if (update.status === 'paused') break;
  await client.jobs.resume(job.id);
  const waits = client.jobs.wait(job.id).catch((error) => error);
  await client.jobs.cancel(job.id);
  const failed = await waits;
  assert.ok(failed instanceof errors.JobFailed);
  assert.equal(failed.job.status, 'cancelled');
});

test('data sets', async () => {
  const dataset = await client.datasets.upload(new Blob(['a,b,c\n1,2,x\n2,3,y\n3,4,x\n4,5,y\n']), { name: 'js', filename: 'js.csv' });
  assert.equal(dataset.n_samples, 4);
  assert.deepEqual((await client.datasets.get(dataset.id)).classes, ['x', 'y']);
  assert.ok(await client.datasets.statistics(dataset.id));
  await client.datasets.delete(dataset.id);
  await assert.rejects(client.datasets.get(dataset.id), errors.NotFound);
});

test('a sweep', async () => {
  const circuit = await client.circuits.create(draft('swept'));
  const sweep = await client.sweeps.submit({ circuit_id: circuit.id, config: { ...config, seed: [1, 2] } });
  await client.sweeps.cancel(sweep.id);
  assert.ok((await client.sweeps.list()).total >= 1);
});

test('keys, sessions, profile, money, audit', async () => {
  const owner = user();
  const key = await owner.apiKeys.create({ name: 'js', scopes: ['circuits:read'] });
  const small = new QStoreClient({ baseUrl: QSTORE_URL, apiKey: key.key });
  await small.circuits.list();
  await assert.rejects(small.jobs.list(), errors.Forbidden);
  await owner.apiKeys.revoke(key.id);
  await assert.rejects(small.circuits.list(), errors.Unauthenticated);
  assert.equal((await owner.users.me()).email, EMAIL);
  assert.equal((await owner.users.updateMe({ preferences: { default_backend: 'native' } })).preferences.default_backend, 'native');
  assert.ok((await owner.sessions.list()).total >= 1);
  assert.equal((await owner.secondFactor.get()).enabled, false);
  assert.equal((await owner.budget.update({ monthly_limit: 50 })).monthly_limit, 50);
  assert.equal((await owner.budget.update({ monthly_limit: null })).monthly_limit, null);
  assert.ok((await owner.audit.verify()).valid);
  assert.ok((await owner.audit.list({ action: 'api_key' })).total >= 2);
  assert.match(await owner.webhooks.secret().then((one) => one.secret), /./);
  assert.ok((await owner.organization.get()).id);
  assert.equal((await owner.organization.mine()).filter((one) => one.current).length, 1);
  const invited = await owner.invitations.create({ email: 'guest@example.org', role: 'viewer' });
  const token = invited.link.split('#')[1];
  assert.equal((await owner.invitations.offer({ token })).email, 'guest@example.org');
  const joined = await owner.invitations.accept({ token, password: 'a phrase of their own' });
  assert.equal((await owner.users.update(joined.user_id, { role: 'developer' })).role, 'developer');
  assert.ok((await owner.users.list({ limit: 100 })).items.some((one) => one.id === joined.user_id));
  const shift = await owner.roles.create({ name: 'night-shift', permissions: ['jobs:read'] });
  assert.equal((await owner.users.update(joined.user_id, { role: shift.name })).role, 'night-shift');
  assert.deepEqual((await owner.roles.update(shift.name, { permissions: ['jobs:cancel'] })).permissions, ['jobs:cancel']);
  assert.equal((await owner.roles.get(shift.name)).members, 1);
  await assert.rejects(owner.roles.delete(shift.name), errors.Conflict);
  await owner.users.remove(joined.user_id);
  await owner.roles.delete(shift.name);
  assert.equal((await owner.roles.list()).length, 4);
  assert.ok((await owner.outbox.list()).total >= 0);
  await owner.auth.logout();
});

test('backends, GraphQL and probes', async () => {
  const [first] = (await client.backends.list()).items;
  assert.ok((await client.backends.status(first.id)).status);
  assert.ok((await client.graphql.query('{ circuits(limit: 1) { id name } }')).circuits);
  await assert.rejects(client.graphql.query('{ circuit(id: "circuit_0") { id } } #'.replace('} #', '} nothing }')), errors.APIError);
  assert.match(await client.graphql.schema(), /type Query/);
  assert.equal((await client.probes.health()).status, 'ok');
  assert.equal((await client.probes.openapi()).openapi, '3.1.0');
});

test("another organization's things are not there", async () => {
  const rival = user(RIVAL);
  const circuit = await client.circuits.create(draft('mine'));
  await assert.rejects(rival.circuits.get(circuit.id), errors.NotFound);
  await assert.rejects(rival.circuits.delete(circuit.id), errors.NotFound);
  await assert.rejects(collected(client.events.subscribe(['job.progress'], { about: `job_${'0'.repeat(26)}` })), errors.NotFound);
  await assert.rejects(collected(client.events.subscribe(['weather'])), errors.ValidationFailed);
});

test('wrong credentials', async () => {
  const nobody = new QStoreClient({ baseUrl: QSTORE_URL, apiKey: `qsk_live_${'a'.repeat(24)}` });
  await assert.rejects(nobody.circuits.list(), errors.Unauthenticated);
  await assert.rejects(collected(nobody.events.notifications()), errors.Unauthenticated);
  const wrong = new QStoreClient({ baseUrl: QSTORE_URL, email: EMAIL, password: 'wrong wrong wrong' });
  await assert.rejects(wrong.circuits.list(), errors.Unauthenticated);
});

test('a token that was ended is renewed by who can sign in again', async () => {
  const [one, other] = [user(), user()];
  await one.users.me();
  await other.sessions.endOthers();
  assert.equal((await one.users.me()).email, EMAIL);
});

/** A server that answers what it is told to, and then passes on to the real one. */
async function proxy(answers, act) {
  let mute = 0;
  const server = http.createServer((request, response) => {
    const instead = answers.shift();
    if (instead === 'lost') mute += 1;
    if (instead && instead !== 'lost') {
      response.writeHead(instead.status, { 'Content-Type': 'application/json', ...instead.headers });
      response.end(instead.body ?? '');
      return;
    }
    const { hostname, port } = new URL(QSTORE_URL);
    const there = http.request({ hostname, port, method: request.method, path: request.url, headers: { ...request.headers, host: `${hostname}:${port}` } }, (answer) => {
      if (mute) {
        mute -= 1;
        answer.resume();
        answer.on('end', () => request.socket.destroy());
        return;
      }
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    // Who leaves a stream leaves it behind the proxy too.
    response.on('close', () => there.destroy());
    request.pipe(there);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    return await act(`http://127.0.0.1:${server.address().port}`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

test('an answer that is lost is asked for again, and what was done is done once', async () => {
  const circuit = await client.circuits.create(draft('once'));
  const before = (await client.jobs.list()).total;
  await proxy(['lost'], async (baseUrl) => {
    const cut = new QStoreClient({ baseUrl, apiKey: QSTORE_API_KEY });
    const job = await cut.jobs.submit({ circuit_id: circuit.id, config });
    await cut.jobs.wait(job.id);
  });
  assert.equal((await client.jobs.list()).total, before + 1);
});

test('busy servers and empty buckets are waited out, a long wait is an error at once', async () => {
  const said = (code) => JSON.stringify({ success: false, data: null, meta: {}, error: { code, message: '' } });
  const answers = [
    { status: 429, headers: { 'Retry-After': '1' }, body: said('RATE_LIMITED') },
    { status: 503, body: said('UNAVAILABLE') },
    { status: 502, body: 'sorry' },
  ];
  await proxy(answers, async (baseUrl) => {
    const busy = new QStoreClient({ baseUrl, apiKey: QSTORE_API_KEY });
    const began = performance.now();
    assert.equal((await busy.probes.health()).status, 'ok');
    assert.ok(performance.now() - began >= 1000);
    answers.push({ status: 429, headers: { 'Retry-After': '3600' }, body: said('RATE_LIMITED') });
    const refused = await busy.circuits.list().catch((error) => error);
    assert.ok(refused instanceof errors.RateLimited);
    assert.deepEqual([refused.retryAfter, refused.status], [3600, 429]);
    answers.push({ status: 200, body: '"hello"' });
    await assert.rejects(busy.circuits.list(), errors.UnexpectedAnswer);
  });
});

test('nobody there', async () => {
  const alone = new QStoreClient({ baseUrl: 'http://127.0.0.1:9', apiKey: 'qsk_live_x', retries: 1 });
  await assert.rejects(alone.circuits.list(), ConnectionFailed);
});
