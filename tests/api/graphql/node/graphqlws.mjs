// The real graphql-ws: everything over the WebSocket. What it hears is written as lines of JSON.
import { createInterface } from "node:readline";

import { createClient } from "graphql-ws";
import WebSocket from "ws";

const [url, connectionParams, attempts] = process.argv.slice(2);
const tell = (...line) => process.stdout.write(JSON.stringify(line) + "\n");

const client = createClient({
  url,
  webSocketImpl: WebSocket,
  connectionParams: JSON.parse(connectionParams),
  retryAttempts: Number(attempts ?? 0),
  retryWait: () => new Promise((resolve) => setTimeout(resolve, 50)),
  on: { connected: () => tell("connected"), closed: ({ code, reason }) => tell("closed", code, reason) },
});

const running = new Map();

createInterface({ input: process.stdin }).on("line", (line) => {
  const { id, query, variables, dispose } = JSON.parse(line);
  if (dispose) {
    running.get(dispose)();
    return;
  }
  const end = client.subscribe(
    { query, variables },
    {
      next: (answer) => tell("next", id, answer),
      error: (cause) => tell("error", id, Array.isArray(cause) ? cause : { code: cause.code, reason: cause.reason }),
      complete: () => tell("complete", id),
    },
  );
  running.set(id, end);
});
