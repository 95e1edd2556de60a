import type { Socket } from 'node:net';
import { Emitter } from '../common/event.ts';
import { parseJson } from '../common/json-bytes.ts';
import type { MessageChannelLike } from '../common/rpc.ts';

/** Characters of one message. The lists of a peer with tens of thousands of shares fit; what does not end is cut off. */
const LINE_SIZE = 128 * 1024 * 1024;
/** Unsent bytes past which a client that does not read is dropped. */
const UNSENT = 256 * 1024 * 1024;

/** One JSON value a line over a socket (bytes as `JsonBytes`), which the channel destroys when it breaks the rules. */
export function lineChannel(socket: Socket): MessageChannelLike {
  const messages = new Emitter<unknown>();
  const closed = new Emitter<void>();
  let pieces: string[] = [];
  let size = 0;

  const take = (line: string): void => {
    let message: unknown;
    try {
      message = parseJson(line);
    } catch {
      socket.destroy();
      return;
    }
    messages.fire(message);
  };
  socket.setEncoding('utf8');
  socket.on('data', (chunk) => {
    let text = String(chunk);
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
      pieces.push(text.slice(0, end));
      const line = pieces.join('');
      pieces = [];
      size = 0;
      take(line);
      text = text.slice(end + 1);
    }
    if (text === '') return;
    pieces.push(text);
    size += text.length;
    if (size > LINE_SIZE) socket.destroy();
  });
  socket.on('error', () => undefined); // `close` follows.
  socket.once('close', () => closed.fire());

  return {
    post(message) {
      if (socket.destroyed) return;
      socket.write(`${JSON.stringify(message)}\n`);
      if (socket.writableLength > UNSENT) socket.destroy();
    },
    onMessage: messages.event,
    onClose: closed.event,
  };
}
