// The real client of Socket.IO, told by lines of JSON on standard input what to do; it writes what it hears, one line each.
//
//   node client.mjs URL OPTIONS
//   {"emit": ["subscribe", {...}], "ack": true} · {"close": true}

import { createInterface } from "node:readline";
import { io } from "socket.io-client";

const tell = (name, ...data) => process.stdout.write(JSON.stringify([name, ...data]) + "\n");
const socket = io(process.argv[2], JSON.parse(process.argv[3] ?? "{}"));

socket.on("connect", () => tell("connect", socket.io.engine.transport.name));
socket.on("connect_error", (error) => tell("connect_error", error.message, error.data ?? null));
socket.on("disconnect", (reason) => tell("disconnect", reason));
socket.onAny((name, ...data) => tell(name, ...data));

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  if (command.close) {
    socket.close();
    break;
  }
  if (command.ack) socket.emit(...command.emit, (answer) => tell("ack", answer));
  else socket.emit(...command.emit);
}
socket.close();
