// Swagger UI: requests are made with the session's cookie, from this page.

import { description, fail, isDark, place } from "./explorer.js";

document.documentElement.classList.toggle("dark-mode", isDark());

try {
  globalThis.SwaggerUIBundle({
    spec: await description(),
    domNode: place,
    deepLinking: true,
    // A hundred and fifty operations at once are neither read nor drawn; a click on a noun shows its own.
    docExpansion: "none",
    defaultModelsExpandDepth: 0,
    displayRequestDuration: true,
    filter: true,
    tryItOutEnabled: true,
    // Its picture of whether the description is valid would come from another host.
    validatorUrl: null,
  });
} catch (cause) {
  fail(cause);
}
