// The real urql: operations by POST, subscriptions through graphql-ws, as its documentation sets it up.
import { cacheExchange, Client, fetchExchange, gql, subscriptionExchange } from "@urql/core";
import { createClient } from "graphql-ws";
import WebSocket from "ws";

const [url, token, job] = process.argv.slice(2);
const tell = (...line) => process.stdout.write(JSON.stringify(line) + "\n");

const socket = createClient({
  url: url.replace("http", "ws"),
  webSocketImpl: WebSocket,
  connectionParams: { token },
});
const client = new Client({
  url,
  preferGetMethod: false,
  fetchOptions: { headers: { authorization: `Bearer ${token}` } },
  exchanges: [
    cacheExchange,
    fetchExchange,
    subscriptionExchange({
      forwardSubscription: (request) => ({
        subscribe: (sink) => ({ unsubscribe: socket.subscribe({ ...request, query: request.query ?? "" }, sink) }),
      }),
    }),
  ],
});

const shown = ({ data, error }) => ({
  data,
  codes: error?.graphQLErrors.map((one) => one.extensions.code),
  network: error?.networkError?.message,
});

const input = { name: "Bell", nQubits: 2, gates: [{ type: "H", targets: [0] }, { type: "CNOT", targets: [0, 1] }] };
const create = gql`
  mutation Create($input: CreateCircuitInput!) {
    createCircuit(input: $input) { id name gateCount createdAt }
  }
`;
const list = gql`
  query List($limit: Int) {
    circuits(limit: $limit) { ...Row }
    currentUser { email role }
  }
  fragment Row on Circuit { id name }
`;
tell("created", shown(await client.mutation(create, { input }).toPromise()));
tell("listed", shown(await client.query(list, { limit: 5 }).toPromise()));
tell("refused", shown(await client.mutation(create, { input: { ...input, nQubits: 0 } }).toPromise()));
tell("invalid", shown(await client.query(gql`{ nothing }`, {}).toPromise()));

client
  .subscription(gql`subscription ($job: ID!) { jobProgress(jobId: $job, lastSeq: 0) { status currentEpoch } }`, { job })
  .subscribe((result) => tell("progress", shown(result)));
