import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { encode } from '../../../../src/bittorrent/bencode.ts';
import { encodeEnvelope, type ShareEntry, signSection } from '../../../../src/peer/network/catalogue.ts';
import { applyDelta, encodeDelta } from '../../../../src/peer/network/section-delta.ts';
import { section, share, testPeer } from './support.ts';

describe('a change of a section', () => {
  const signature = randomBytes(64);
  const credentials = Buffer.from('credentials');
  const envelope = (body: Uint8Array): Buffer => encodeEnvelope({ body, credentials, signature });

  it('of one share among 10,000 takes little, and leads to the very bytes', () => {
    const peer = testPeer();
    const shares = Array.from({ length: 10_000 }, (_, i) => share({ name: `share ${i}` }));
    const sign = (entries: readonly ShareEntry[], sequence: number): Buffer =>
      signSection(
        section(peer, { shares: entries, sequence, time: 1_800_000_000_000 + sequence }),
        peer.identity,
        credentials,
      ).bytes;
    const before = sign(shares, 9);
    const [, ...rest] = shares;
    const [one] = shares;
    for (const [what, entries] of [
      ['another version', shares.map((entry, i) => (i === 5000 ? { ...entry, version: 2 } : entry))],
      ['a longer name', shares.map((entry, i) => (i === 5000 ? { ...entry, name: 'x'.repeat(200) } : entry))],
      ['one more', [...shares.slice(0, 3), share({}), ...shares.slice(3)]],
      ['one less, the first', rest],
      ['one less, the last', shares.slice(0, -1)],
      ['nothing but the date', shares],
      ['some of all', shares.map((entry, i) => (i % 100 === 0 ? { ...entry, time: i } : entry))],
      ['two swapped', [...rest, ...(one ? [one] : [])]],
    ] as const) {
      const after = sign(entries, 10);
      const delta = encodeDelta(before, after);
      assert.ok(delta, what);
      assert.ok(applyDelta(before, delta).equals(after), what);
      assert.ok(delta.length < (what === 'some of all' ? 10_000 : 1000), `${what}: ${delta.length} bytes`);
    }
  });

  it('leads to the very bytes, whatever was changed', () => {
    const edit = fc.record({
      at: fc.nat(20_000),
      removed: fc.oneof(fc.nat(40), fc.nat(9000)),
      added: fc.oneof(fc.uint8Array({ maxLength: 60 }), fc.constant(randomBytes(3000))),
    });
    // Of few letters: what is alike stands in many places.
    const text = fc
      .array(fc.constantFrom(97, 98), { minLength: 5000, maxLength: 20_000 })
      .map((letters) => Buffer.from(letters));
    const random = fc.nat().map(() => randomBytes(15_000));
    fc.assert(
      fc.property(fc.oneof(text, random), fc.array(edit, { maxLength: 8 }), (before, edits) => {
        let after: Buffer = before;
        for (const { at, removed, added } of edits)
          after = Buffer.concat([after.subarray(0, at), added, after.subarray(at + removed)]);
        const delta = encodeDelta(envelope(before), envelope(after));
        if (delta === undefined) return;
        assert.ok(applyDelta(envelope(before), delta).equals(envelope(after)));
        assert.ok(delta.length <= after.length / 2);
      }),
      { numRuns: 200 },
    );
  });

  it('is none when little is the same, or little is saved', () => {
    assert.equal(encodeDelta(envelope(randomBytes(9000)), envelope(randomBytes(9000))), undefined);
    const short = randomBytes(2000);
    assert.equal(encodeDelta(envelope(short), envelope(short)), undefined);
    const wholly = Buffer.alloc(4 * 1024 * 1024, 1);
    const different = Buffer.from(wholly);
    // Every hundredth byte: more steps than are worth it; giving up takes no long time either.
    for (let at = 0; at < different.length; at += 100) different[at] = at;
    const started = performance.now();
    assert.equal(encodeDelta(envelope(wholly), envelope(different)), undefined);
    assert.ok(performance.now() - started < 2000);
  });

  it('that a liar made is refused, before it costs anything', () => {
    const before = envelope(randomBytes(10_000));
    const step = (from: number, copied: number, added: number): Buffer => {
      const bytes = Buffer.alloc(12);
      for (const [i, number] of [from, copied, added].entries()) bytes.writeUInt32LE(number, 4 * i);
      return bytes;
    };
    const delta = (...steps: Buffer[]): Buffer => encode({ credentials, signature, steps: Buffer.concat(steps) });
    assert.ok(applyDelta(before, delta(step(0, 10_000, 0))).equals(before));
    for (const [what, bytes] of [
      ['copies past the end', delta(step(9000, 1001, 0))],
      ['copies the same twice', delta(step(0, 10_000, 0), step(0, 10_000, 0))],
      ['copies backwards', delta(step(5000, 10, 0), step(0, 10, 0))],
      ['copies from far outside', delta(step(2 ** 32 - 1, 2 ** 32 - 1, 0))],
      ['adds what it has not', delta(step(0, 10, 5), Buffer.from('abcd'))],
      ['has half a step', delta(step(0, 10, 0), Buffer.alloc(5))],
      ['has too many steps', delta(...Array.from({ length: 2000 }, (_, i) => step(i, 1, 0)))],
      ['has a short signature', encode({ credentials, signature: Buffer.alloc(63), steps: step(0, 10, 0) })],
      ['has large credentials', encode({ credentials: Buffer.alloc(5000), signature, steps: step(0, 10, 0) })],
      ['has no steps', encode({ credentials, signature })],
      ['is nothing', Buffer.alloc(0)],
    ] as const)
      assert.throws(() => applyDelta(before, bytes), { code: 'bad-encoding' }, what);
  });
});
