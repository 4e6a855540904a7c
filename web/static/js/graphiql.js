// GraphiQL: operations go by POST, subscriptions over the WebSocket of the same address, both with the session's cookie.

import { fail, isDark, place } from "./explorer.js";

const { GraphiQL, React, ReactDOM, graphqlWs } = globalThis;

const EXAMPLE = `# Ctrl-Enter runs the operation under the cursor. The book on the left is the schema.
query Overview {
  currentUser { email role }
  jobs(limit: 5) {
    id status
    progress { percentage currentLoss }
    circuit { name nQubits }
    model { id status }
  }
  budget { monthlyLimit currentSpend reserved }
}
`;

const address = `${location.origin.replace("http", "ws")}/graphql`;
const client = graphqlWs.createClient({ url: address, lazy: true });

function isSubscription(body, documentAST) {
  const operations = documentAST?.definitions.filter((node) => node.kind === "OperationDefinition") ?? [];
  const named = operations.find((node) => !body.operationName || node.name?.value === body.operationName);
  return named?.operation === "subscription";
}

async function post(body) {
  const answer = await fetch("/graphql", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  if (answer.status === 401) location.assign("/app/sign-in?next=/graphql");
  return answer.json();
}

function fetcher(body, options) {
  if (!isSubscription(body, options?.documentAST)) return post(body);
  return { subscribe: (sink) => ({ unsubscribe: client.subscribe(body, sink) }) };
}

try {
  const theme = isDark() ? "dark" : "light";
  const widget = React.createElement(GraphiQL, { fetcher, defaultQuery: EXAMPLE, forcedTheme: theme });
  ReactDOM.createRoot(place).render(widget);
} catch (cause) {
  fail(cause);
}
