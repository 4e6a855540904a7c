// The REST API with the session's cookie. Answers `data`; everything else becomes a Fault with a sentence.

// Of whoever is not signed in yet: there a 401 is about the password that they have just entered.
const DOORS = new Set(["/v1/invitations/accept"]);

export class Fault extends Error {
  constructor(status, code, message, details = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.details = details;
  }
}

export async function get(path) {
  return (await answer("GET", path)).data;
}

/** A list: `{items, total, limit, offset}`. */
export async function list(path) {
  const { data, meta } = await answer("GET", path);
  return { items: data, total: meta.total ?? data.length, limit: meta.limit, offset: meta.offset ?? 0 };
}

/** A POST carries an idempotency key of its own, so that a repeated click or a lost answer acts once. */
export async function post(path, body = {}, key = randomKey()) {
  return (await answer("POST", path, body, key)).data;
}

/** The whole of a thing that is there: sending it twice is the same as once. */
export async function put(path, body) {
  return (await answer("PUT", path, body)).data;
}

/** A part of a thing that is there. */
export async function patch(path, body) {
  return (await answer("PATCH", path, body)).data;
}

/** Ends a thing that is there. */
export async function remove(path) {
  return (await answer("DELETE", path)).data;
}

export function signIn() {
  const here = location.pathname + location.search;
  location.assign(`/app/sign-in?next=${encodeURIComponent(here)}`);
}

async function answer(method, path, body, key) {
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (key) headers["Idempotency-Key"] = key;
  let response;
  try {
    response = await fetch(path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "same-origin",
      cache: "no-store",
    });
  } catch {
    throw new Fault(0, "OFFLINE", "The server does not answer. Is it still running?");
  }
  if (response.status === 204) return { data: null };
  let envelope = null;
  try {
    envelope = await response.json();
  } catch {
    throw new Fault(response.status, "MALFORMED", `The server answered ${response.status} without a readable body.`);
  }
  if (response.ok && envelope.success) return envelope;
  const { code = "INTERNAL", message = "Something went wrong.", details = {} } = envelope.error ?? {};
  if (response.status === 401 && path.startsWith("/v1/") && !DOORS.has(path)) signIn();
  if (response.status === 429) {
    const wait = response.headers.get("Retry-After");
    throw new Fault(429, code, wait ? `${message} Try again in ${Math.ceil(Number(wait))} s.` : message, details);
  }
  throw new Fault(response.status, code, message, details);
}

// crypto.randomUUID() only exists on HTTPS and loopback.
function randomKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
