/**
 * Some rows of a list, which it iterates over, and how many there are in all.
 *
 * @template T
 */
export class Page<T> {
    /** @param {T[]} items @param {{total: number, limit: number, offset: number}} meta */
    constructor(items: T[], meta: {
        total: number;
        limit: number;
        offset: number;
    });
    items: T[];
    total: number;
    limit: number;
    offset: number;
    get length(): number;
    [Symbol.iterator](): ArrayIterator<T>;
}
