/** Server-sent events (HTML Living Standard §9.2.6) out of the body of an answer. */
/**
 * @param {ReadableStream<Uint8Array>} body
 * @returns {AsyncGenerator<{event: string, id: string, data: any}, void, void>}
 */
export function messages(body: ReadableStream<Uint8Array>): AsyncGenerator<{
    event: string;
    id: string;
    data: any;
}, void, void>;
