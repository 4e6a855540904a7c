// Swagger UI: requests are made with the session's cookie, from this page.

import { description, fail, isDark, place } from "./explorer.js";

document.documentElement.classList.toggle("dark-mode", isDark());

try {
  globalThis.SwaggerUIBundle({
    spec: await description(),
    domNode: place,
    deepLinking: true,
    docExpansion: "list",
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
