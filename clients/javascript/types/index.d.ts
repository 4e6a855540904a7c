export { QStoreClient } from "./client.js";
export * from "./errors.js";
export { Page } from "./pages.js";
