import type { MessagePort, Worker } from 'node:worker_threads';
import { Emitter } from './event.ts';
import type { MessageChannelLike } from './rpc.ts';

/**
 * A worker's port (inside it) or the worker (outside it) as an RPC channel. Owns nothing: end the worker or close the
 * port to close it. A worker that dies of an error closes its channel too; listen to its `error` event for the reason.
 */
export function portChannel(port: MessagePort | Worker): MessageChannelLike {
  const messages = new Emitter<unknown>();
  const closed = new Emitter<void>();
  let open = true;
  const close = (): void => {
    if (!open) return;
    open = false;
    closed.fire();
  };
  port.on('message', (message: unknown) => messages.fire(message));
  // A Worker exits, a MessagePort closes. (The overloads of the two do not unite, hence the branch.)
  if ('terminate' in port) port.once('exit', close);
  else port.once('close', close);
  return {
    post: (message) => port.postMessage(message),
    onMessage: messages.event,
    onClose: closed.event,
  };
}
