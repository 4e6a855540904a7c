// `oidc-provider` with its development log-in: whoever signs in as NAME is NAME@example.org.
// node provider.mjs REDIRECT_URI; prints its address once it listens.

import { createServer } from "node:http";
import Provider from "oidc-provider";

const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [{ client_id: "qstore", client_secret: "s3cret-of-the-client", redirect_uris: [process.argv[2]] }],
    pkce: { required: () => true },
    claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"] },
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: id, email: `${id}@example.org`, email_verified: id !== "unsure", name: id }),
    }),
  });
  server.on("request", provider.callback());
  console.log(issuer);
});
