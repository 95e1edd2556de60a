import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import type { Connection } from '../../../src/bittorrent/connection.ts';
import { WireOutbox } from '../../../src/bittorrent/wire-outbox.ts';

/** Keeps what is written until it is let go. */
class Sluice implements Connection {
  readonly remote = 'b:1';
  closed = false;
  readonly written: string[] = [];
  writableLength = 0;
  readonly #waiting: (() => void)[] = [];

  write(chunks: readonly Uint8Array[], onDone?: () => void): void {
    if (this.closed) {
      onDone?.();
      return;
    }
    const bytes = Buffer.concat(chunks);
    this.written.push(bytes.toString());
    this.writableLength += bytes.length;
    this.#waiting.push(() => {
      this.writableLength -= bytes.length;
      onDone?.();
    });
  }

  letGo(): void {
    this.#waiting.shift()?.();
  }

  start(): void {}
  pause(): void {}
  resume(): void {}
  close(): void {
    this.closed = true;
  }
}

describe('WireOutbox', () => {
  let connection: Sluice;
  let outbox: WireOutbox;
  let left: number;

  beforeEach(() => {
    connection = new Sluice();
    left = 0;
    outbox = new WireOutbox(connection, () => left++);
  });

  it('sends the messages of one turn in one write, in order', async () => {
    outbox.push(Buffer.from('a'));
    outbox.push(Buffer.from('b'));
    assert.deepEqual([connection.written, outbox.bytes], [[], 2]);
    await turn();
    outbox.push(Buffer.from('c'));
    await turn();
    assert.deepEqual(connection.written, ['ab', 'c']);
  });

  it('sends bytes as they are behind the messages before them', () => {
    outbox.push(Buffer.from('a'));
    outbox.write(Buffer.from('block'), () => {});
    outbox.push(Buffer.from('b'));
    outbox.flush();
    assert.deepEqual(connection.written, ['a', 'block', 'b']);
  });

  it('counts what waits, here and in the connection, and what has left', () => {
    let sent = false;
    outbox.push(Buffer.from('abc'));
    outbox.write(Buffer.from('block'), () => {
      sent = true;
    });
    outbox.push(Buffer.from('d'));
    assert.deepEqual([outbox.bytes, outbox.departed, left, sent], [9, 0, 0, false]);
    connection.letGo();
    assert.deepEqual([outbox.bytes, outbox.departed, left, sent], [6, 1, 1, false]);
    connection.letGo();
    assert.deepEqual([outbox.bytes, outbox.departed, left, sent], [1, 2, 1, true]);
  });

  it('sends nothing once it is closed, neither what waited nor what comes, and gives memory back', async () => {
    outbox.push(Buffer.from('a'));
    connection.close();
    outbox.close();
    outbox.push(Buffer.from('b'));
    let givenBack = false;
    outbox.write(Buffer.from('block'), () => {
      givenBack = true;
    });
    await turn();
    assert.deepEqual([connection.written, outbox.bytes, givenBack], [[], 0, true]);
  });
});
