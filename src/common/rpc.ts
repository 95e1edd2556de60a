/**
 * Calls over a channel that carries messages in order: a worker's port, a socket with one JSON object a line. Both ends
 * name the methods that may cross, so a message can reach nothing else. Errors keep their code; a channel that closes
 * rejects what is still open. Arguments and results must survive structured clone (ports) or JSON (sockets).
 *
 * Messages: `{ id, call, args }` → `{ id, result }` or `{ id, error: { code, message } }`; `{ subscribe: boolean }` turns
 * `{ event }` messages on and off, so that nobody serializes events that nobody hears.
 */
import { type Disposable, DisposableList, toDisposable } from './disposable.ts';
import { type ErrorCode, PeerwireError, toPeerwireError } from './errors.ts';
import { Emitter, type Event } from './event.ts';

export interface MessageChannelLike {
  post(message: unknown): void;
  readonly onMessage: Event<unknown>;
  /** Fires once, also when the other end died. */
  readonly onClose: Event<void>;
}

/** What may be served: promise-returning methods under the listed names, and one event. */
export type Servable<M extends string> = { readonly [K in M]: (...args: never[]) => Promise<unknown> } & {
  readonly onEvent?: Event<unknown>;
};

/** Answers calls on the channel until disposed or closed. Does not own the channel. */
export function serve<M extends string>(
  api: Servable<M>,
  methods: readonly M[],
  channel: MessageChannelLike,
): Disposable {
  const owned = new DisposableList();
  const allowed = new Map<string, M>(methods.map((method) => [method, method]));
  let events: Disposable | undefined;
  const post = (message: unknown): void => {
    if (!owned.disposed) channel.post(message);
  };

  const answer = async (id: number, name: string, args: unknown[]): Promise<void> => {
    try {
      const method = allowed.get(name);
      if (method === undefined) throw new PeerwireError('unsupported', `There is no method “${name}” here.`);
      const result: unknown = await Reflect.apply(api[method], api, args);
      post({ id, result });
    } catch (error) {
      const { code, message } = toPeerwireError(error);
      post({ id, error: { code, message } });
    }
  };

  owned.add(
    channel.onMessage((message) => {
      if (!isRecord(message)) return;
      const { id, call, args, subscribe } = message;
      if (typeof id === 'number' && typeof call === 'string' && Array.isArray(args)) void answer(id, call, args);
      else if (subscribe === true) events ??= api.onEvent?.((event) => post({ event }));
      else if (subscribe === false) {
        events?.dispose();
        events = undefined;
      }
    }),
  );
  owned.add(channel.onClose(() => owned.dispose()));
  owned.add(toDisposable(() => events?.dispose()));
  return owned;
}

interface PendingCall {
  resolve(value: unknown): void;
  reject(error: PeerwireError): void;
}

/**
 * The other end's object. Its methods reject with `closed` once the channel is closed or this is disposed, else with the
 * error thrown there. Does not own the channel.
 */
export function connect<T extends object>(
  channel: MessageChannelLike,
  methods: readonly (keyof T & string)[],
): T & Disposable {
  const owned = new DisposableList();
  const pending = new Map<number, PendingCall>();
  const emitter = owned.add(new Emitter<unknown>());
  let lastId = 0;

  const end = (): void => {
    if (owned.disposed) return;
    if (emitter.hasListeners) tryPost(channel, { subscribe: false });
    owned.dispose();
    for (const call of pending.values()) call.reject(closedError());
    pending.clear();
  };

  const call = (method: string, args: unknown[]): Promise<unknown> =>
    new Promise((resolve, reject) => {
      if (owned.disposed) {
        reject(closedError());
        return;
      }
      lastId++;
      pending.set(lastId, { resolve, reject });
      try {
        channel.post({ id: lastId, call: method, args });
      } catch (error) {
        pending.delete(lastId);
        reject(toPeerwireError(error));
      }
    });

  const onEvent: Event<unknown> = (listener) => {
    if (owned.disposed) return toDisposable(() => undefined);
    if (!emitter.hasListeners) channel.post({ subscribe: true });
    const subscription = emitter.event(listener);
    return toDisposable(() => {
      subscription.dispose();
      if (!owned.disposed && !emitter.hasListeners) tryPost(channel, { subscribe: false });
    });
  };

  owned.add(
    channel.onMessage((message) => {
      if (!isRecord(message)) return;
      if ('event' in message) emitter.fire(message.event);
      const { id, error } = message;
      if (typeof id !== 'number' || 'call' in message) return;
      const waiting = pending.get(id);
      if (waiting === undefined) return;
      pending.delete(id);
      if (isRecord(error)) waiting.reject(remoteError(error));
      else waiting.resolve(message.result);
    }),
  );
  owned.add(channel.onClose(end));

  const remote: Record<string, unknown> = { onEvent, dispose: end };
  for (const method of methods) remote[method] = (...args: unknown[]) => call(method, withoutTrailingUndefined(args));
  // The one place where names become types: the caller vouches that `methods` lists those of `T`.
  return remote as T & Disposable;
}

/** A named channel inside another, so that several objects are served over one port, in both directions. */
export function subchannel(channel: MessageChannelLike, name: string): MessageChannelLike {
  return {
    post: (message) => channel.post({ channel: name, message }),
    onMessage: (listener) =>
      channel.onMessage((outer) => {
        if (isRecord(outer) && outer.channel === name) listener(outer.message);
      }),
    onClose: channel.onClose,
  };
}

function tryPost(channel: MessageChannelLike, message: unknown): void {
  try {
    channel.post(message);
  } catch {
    // The channel is gone, and with it the subscription.
  }
}

function remoteError(error: Record<string, unknown>): PeerwireError {
  const code = typeof error.code === 'string' ? error.code : 'internal';
  const message = typeof error.message === 'string' ? error.message : 'Unknown error.';
  // A newer peer may know more codes than we do; callers treat an unknown one like any other failure.
  return new PeerwireError(code as ErrorCode, message);
}

function closedError(): PeerwireError {
  return new PeerwireError('closed', 'The peer is not running any more.');
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

/** In JSON an undefined argument would become null, which is not the same to who is called. */
function withoutTrailingUndefined(args: readonly unknown[]): unknown[] {
  return args.slice(0, args.findLastIndex((arg) => arg !== undefined) + 1);
}
