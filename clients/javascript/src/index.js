/** Asks a Q-Store appliance, from Node 18 or newer and from browsers. Depends on nothing but the platform's `fetch`. */

export { QStoreClient } from './client.js';
export * from './errors.js';
export { Page } from './pages.js';
