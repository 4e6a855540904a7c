/**
 * Some rows of a list, which it iterates over, and how many there are in all.
 *
 * @template T
 */
export class Page {
  /** @param {T[]} items @param {{total: number, limit: number, offset: number}} meta */
  constructor(items, meta) {
    this.items = items;
    this.total = meta.total;
    this.limit = meta.limit;
    this.offset = meta.offset;
  }

  get length() {
    return this.items.length;
  }

  [Symbol.iterator]() {
    return this.items[Symbol.iterator]();
  }
}
