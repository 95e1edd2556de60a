import assert from 'node:assert/strict';
import { MessageChannel } from 'node:worker_threads';
import { PeerwireError } from '../../../src/common/errors.ts';
import { Emitter, type Event } from '../../../src/common/event.ts';
import { portChannel } from '../../../src/common/port-channel.ts';
import { connect, type MessageChannelLike, serve, subchannel } from '../../../src/common/rpc.ts';

interface Counter {
  readonly onEvent: Event<{ value: number }>;
  add(amount: number): Promise<number>;
  fail(code: 'not-found' | 'plain'): Promise<void>;
  never(): Promise<void>;
}
const METHODS = ['add', 'fail', 'never'] as const;

class CounterImpl implements Counter {
  readonly events = new Emitter<{ value: number }>();
  readonly onEvent = this.events.event;
  hidden = 0;
  #value = 0;

  async add(amount: number): Promise<number> {
    this.#value += amount;
    this.events.fire({ value: this.#value });
    return this.#value;
  }

  async fail(code: 'not-found' | 'plain'): Promise<void> {
    if (code === 'plain') throw new TypeError('broken');
    throw new PeerwireError(code, 'No such thing.');
  }

  never(): Promise<void> {
    return new Promise(() => undefined);
  }

  async secret(): Promise<void> {
    this.hidden++;
  }
}

/** Two ends of a channel that clones like a port does, delivering in microtasks. */
function pair(): { a: MessageChannelLike; b: MessageChannelLike; close(): void; log: unknown[] } {
  const toA = new Emitter<unknown>();
  const toB = new Emitter<unknown>();
  const closed = new Emitter<void>();
  const log: unknown[] = [];
  const end = (out: Emitter<unknown>, from: Emitter<unknown>): MessageChannelLike => ({
    post(message) {
      const copy: unknown = structuredClone(message);
      log.push(copy);
      queueMicrotask(() => out.fire(copy));
    },
    onMessage: from.event,
    onClose: closed.event,
  });
  return { a: end(toB, toA), b: end(toA, toB), close: () => closed.fire(), log };
}

const rejectsWith = (code: string, message?: RegExp) => (error: unknown) => {
  assert.ok(error instanceof PeerwireError);
  assert.equal(error.code, code);
  if (message) assert.match(error.message, message);
  return true;
};

describe('rpc', () => {
  it('leaves arguments out that are not given, which JSON would make null', async () => {
    const { a, b } = pair();
    const echo = { onEvent: new Emitter<never>().event, echo: async (...args: unknown[]) => args };
    serve(echo, ['echo'], b);
    const remote = connect<typeof echo>(a, ['echo']);
    assert.deepEqual(await remote.echo(1, undefined, undefined), [1]);
    assert.deepEqual(await remote.echo(undefined), []);
  });

  it('calls methods and returns results in any order', async () => {
    const { a, b } = pair();
    serve(new CounterImpl(), METHODS, b);
    const remote = connect<Counter>(a, METHODS);
    assert.deepEqual(await Promise.all([remote.add(1), remote.add(2), remote.add(3)]), [1, 3, 6]);
  });

  it('carries error codes and wraps plain errors', async () => {
    const { a, b } = pair();
    serve(new CounterImpl(), METHODS, b);
    const remote = connect<Counter>(a, METHODS);
    await assert.rejects(remote.fail('not-found'), rejectsWith('not-found', /^No such thing\.$/));
    await assert.rejects(remote.fail('plain'), rejectsWith('internal', /broken/));
  });

  it('refuses methods that are not listed, also inherited ones', async () => {
    const { a, b } = pair();
    const counter = new CounterImpl();
    serve(counter, METHODS, b);
    const remote = connect<CounterImpl & { constructor(): Promise<void> }>(a, ['secret', 'constructor']);
    await assert.rejects(remote.secret(), rejectsWith('unsupported'));
    await assert.rejects(remote.constructor(), rejectsWith('unsupported'));
    assert.equal(counter.hidden, 0);
  });

  it('sends events only while somebody listens', async () => {
    const { a, b } = pair();
    const counter = new CounterImpl();
    serve(counter, METHODS, b);
    const remote = connect<Counter>(a, METHODS);
    const seen: number[] = [];
    await remote.add(1);
    const first = remote.onEvent((event) => seen.push(event.value));
    const second = remote.onEvent((event) => seen.push(-event.value));
    await remote.add(1);
    first.dispose();
    await remote.add(1);
    second.dispose();
    await remote.add(1);
    assert.deepEqual(seen, [2, -2, -3]);
    assert.equal(counter.events.hasListeners, false);
  });

  it('rejects open and later calls when the channel closes, and stops serving', async () => {
    const { a, b, close } = pair();
    const counter = new CounterImpl();
    serve(counter, METHODS, b);
    const remote = connect<Counter>(a, METHODS);
    remote.onEvent(() => undefined);
    const open = remote.never();
    await remote.add(1);
    assert.equal(counter.events.hasListeners, true);
    close();
    await assert.rejects(open, rejectsWith('closed'));
    await assert.rejects(remote.add(1), rejectsWith('closed'));
    assert.equal(counter.events.hasListeners, false);
  });

  it('rejects open calls when disposed', async () => {
    const { a, b } = pair();
    serve(new CounterImpl(), METHODS, b);
    const remote = connect<Counter>(a, METHODS);
    const open = remote.never();
    remote.dispose();
    await assert.rejects(open, rejectsWith('closed'));
  });

  it('rejects a call whose argument cannot cross', async () => {
    const { a, b } = pair();
    serve(new CounterImpl(), METHODS, b);
    const remote = connect<{ add(value: unknown): Promise<number> }>(a, ['add']);
    await assert.rejects(
      remote.add(() => undefined),
      rejectsWith('internal', /clone/),
    );
  });

  it('ignores messages of other shapes', async () => {
    const { a, b } = pair();
    serve(new CounterImpl(), METHODS, b);
    for (const message of [
      null,
      1,
      'x',
      [],
      {},
      { id: 'x', call: 'add', args: [] },
      { id: 1, call: 'add' },
      { id: 99, result: 1 },
    ]) {
      a.post(message);
    }
    assert.equal(await connect<Counter>(a, METHODS).add(2), 2);
  });

  it('serves several objects over one real port, in both directions', async () => {
    const { port1, port2 } = new MessageChannel();
    try {
      const left = portChannel(port1);
      const right = portChannel(port2);
      serve(new CounterImpl(), METHODS, subchannel(right, 'one'));
      serve(new CounterImpl(), METHODS, subchannel(left, 'two'));
      const one = connect<Counter>(subchannel(left, 'one'), METHODS);
      const two = connect<Counter>(subchannel(right, 'two'), METHODS);
      assert.equal(await one.add(5), 5);
      assert.equal(await two.add(7), 7);
      const open = one.never();
      port2.close();
      await assert.rejects(open, rejectsWith('closed'));
    } finally {
      port1.close();
      port2.close();
    }
  });
});
