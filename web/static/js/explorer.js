// What the explorers share: where they are shown, in which theme, and the description of this very server.

export const place = document.getElementById("explorer");

const system = matchMedia("(prefers-color-scheme: dark)");

export function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : system.matches;
}

// Other people's widgets cannot follow a change of theme; a fresh page can.
system.addEventListener("change", () => location.reload());

export async function description() {
  const answer = await fetch("/openapi.json");
  if (!answer.ok) throw new Error(`/openapi.json answered ${answer.status}`);
  const document = await answer.json();
  // Whatever name this server is known by elsewhere, requests go to the one that this page came from.
  document.servers = [{ url: location.origin }];
  return document;
}

export function fail(cause) {
  const words = globalThis.document.createElement("p");
  words.className = "notice bad";
  words.setAttribute("role", "alert");
  words.textContent = `This explorer did not start: ${cause.message}. Reload the page.`;
  place.replaceChildren(words);
}
