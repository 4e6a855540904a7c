/** Server-sent events (HTML Living Standard §9.2.6) out of the body of an answer. */

/**
 * @param {ReadableStream<Uint8Array>} body
 * @returns {AsyncGenerator<{event: string, id: string, data: any}, void, void>}
 */
export async function* messages(body) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let [text, event, id] = ['', 'message', ''];
  /** @type {string[]} */
  let data = [];
  try {
    while (true) {
      const { done, value } = await reader.read();
      if (done) return;
      text += decoder.decode(value, { stream: true });
      const lines = text.split('\n');
      text = lines.pop() ?? '';
      for (const line of lines) {
        const [, name, said] = /^([^:]*):? ?(.*)$/.exec(line.replace(/\r$/, '')) ?? ['', '', ''];
        if (name === 'data') data.push(said);
        else if (name === 'event') event = said;
        else if (name === 'id') id = said;
        else if (name === '' && said === '' && line.replace(/\r$/, '') === '') {
          if (data.length) yield { event, id, data: JSON.parse(data.join('\n')) };
          [event, data] = ['message', []];
        }
      }
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
