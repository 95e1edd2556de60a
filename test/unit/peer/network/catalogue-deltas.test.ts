import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  type Section,
  type ShareEntry,
  type SignedSection,
  signSection,
} from '../../../../src/peer/network/catalogue.ts';
import type { CatalogueMessage } from '../../../../src/peer/network/control-messages.ts';
import { partsOf } from '../../../../src/peer/network/control-messages.ts';
import { encodeDelta } from '../../../../src/peer/network/section-delta.ts';
import { VirtualClock } from '../../../sim/virtual-clock.ts';
import { connectGossipers, type Gossiper, gossiper as makeGossiper, puppetOf } from './gossipers.ts';
import { advance, section, share, shareNames, type TestPeer, TestRegister, testPeer } from './support.ts';

describe('changes of a catalogue', () => {
  let clock: VirtualClock;
  let register: TestRegister;

  beforeEach(() => {
    clock = new VirtualClock();
    register = new TestRegister();
  });

  const gossiper = (): Gossiper => makeGossiper(clock, register);
  const connect = (a: Gossiper, b: Gossiper): (() => void) => connectGossipers(clock, a, b);
  const names = ({ store }: Gossiper): string[] => shareNames(store.catalogues().flatMap(({ shares }) => shares));
  const many = (count: number): ShareEntry[] =>
    Array.from({ length: count }, (_, i) => share({ name: `share ${i}` })).sort((a, b) => (a.share < b.share ? -1 : 1));
  const renamed = (shares: readonly ShareEntry[], at: number, name: string): ShareEntry[] =>
    shares.map((entry, i) => (i === at ? { ...entry, name } : entry));
  const bytesOf = (messages: readonly CatalogueMessage[]): number =>
    messages.reduce((sum, message) => sum + ('data' in message ? message.data.length : 0), 0);
  const types = ({ sent }: Gossiper): string[] => sent.map(({ type }) => type);

  it('travel alone, to those connected and from them to others', async () => {
    const [a, b, c] = [gossiper(), gossiper(), gossiper()];
    const shares = many(10_000);
    a.own.set(shares, []);
    connect(a, b);
    connect(b, c);
    await advance(clock, 5000);
    assert.equal(names(c).length, 10_000);
    for (const node of [a, b, c]) node.sent.length = 0;
    a.own.set(renamed(shares, 5000, 'news'), []);
    await advance(clock, 1000);
    for (const node of [b, c]) assert.ok(names(node).includes('news'));
    assert.deepEqual([types(a).includes('part'), types(b).includes('part')], [false, false]);
    for (const node of [a, b]) assert.ok(bytesOf(node.sent) < 1000, `${bytesOf(node.sent)} bytes`);
  });

  it('that came while somebody was away travel alone, as long as they are few', async () => {
    const [a, b] = [gossiper(), gossiper()];
    let shares = many(1000);
    a.own.set(shares, []);
    const part = connect(a, b);
    await advance(clock, 5000);
    part();
    const change = async (name: string): Promise<void> => {
      shares = renamed(shares, 7, name);
      a.own.set(shares, []);
      await advance(clock, 1000);
    };
    for (const name of ['one', 'two', 'three']) await change(name);
    a.sent.length = 0;
    const again = connect(a, b);
    await advance(clock, 1000);
    assert.ok(names(b).includes('three'));
    assert.ok(bytesOf(a.sent) < 1000);
    again();
    for (const name of ['4', '5', '6', '7', '8', '9']) await change(name);
    connect(a, b);
    await advance(clock, 1000);
    assert.ok(names(b).includes('9'), 'what is known of no more comes whole');
  });

  it('come whole to a program that does not know better', async () => {
    const [a, b] = [gossiper(), gossiper()];
    b.takesDeltas = false;
    const shares = many(100);
    a.own.set(shares, []);
    connect(a, b);
    await advance(clock, 5000);
    a.own.set(renamed(shares, 5, 'news'), []);
    await advance(clock, 1000);
    assert.ok(names(b).includes('news'));
    assert.ok(!types(a).includes('delta'));
  });

  describe('told by the test', () => {
    let node: Gossiper;
    let owner: TestPeer;
    let told: ReturnType<typeof puppetOf>;
    let shares: ShareEntry[];

    beforeEach(() => {
      node = gossiper();
      owner = testPeer();
      told = puppetOf(node, owner);
      shares = many(100);
      whole(version(1, shares));
      assert.equal(names(node).length, 100);
    });

    const version = (sequence: number, entries: readonly ShareEntry[], fields: Partial<Section> = {}): SignedSection =>
      signSection(section(owner, { shares: entries, sequence, ...fields }), owner.identity, Buffer.from(owner.device));
    const headOf = ({ section: { sequence }, digest }: SignedSection) => ({
      ...{ device: owner.device, instance: owner.instance, audience: '', incarnation: 1, sequence },
      digest,
    });
    const whole = (signed: SignedSection): void => {
      for (const part of partsOf(signed.bytes)) told.say({ ...part, type: 'part', name: headOf(signed) });
    };
    const change = (before: SignedSection, after: SignedSection, base = before.digest): void => {
      const delta = encodeDelta(before.bytes, after.bytes);
      assert.ok(delta);
      for (const part of partsOf(delta)) told.say({ ...part, type: 'delta', head: headOf(after), base });
    };
    const wants = () =>
      told.received.flatMap((message) => (message.type === 'want' ? message.names.map(({ base }) => base) : []));

    it('are taken when they lead from what is here', () => {
      change(version(1, shares), version(2, renamed(shares, 3, 'news')));
      assert.ok(names(node).includes('news'));
      assert.deepEqual(wants(), []);
    });

    it('that lead back to an older version, or say nothing new, change nothing', () => {
      const [one, two, three] = [version(1, shares), version(2, renamed(shares, 3, 'two')), version(3, shares)];
      whole(three);
      change(three, two);
      change(three, three);
      change(one, two);
      assert.ok(!names(node).includes('two'));
      assert.deepEqual(wants(), []);
    });

    it('that lead from elsewhere have the section asked for, first from what is here, then whole, and not for ever', async () => {
      const [one, other, two] = [
        version(1, shares),
        version(1, renamed(shares, 5, 'other')),
        version(2, renamed(shares, 3, 'news')),
      ];
      for (let time = 0; time < 10; time++) {
        change(other, two);
        await advance(clock, 1000);
      }
      assert.deepEqual(wants().slice(0, 2), [one.digest, undefined]);
      assert.ok(wants().length <= 5, `${wants().length} times`);
      whole(two);
      assert.ok(names(node).includes('news'));
    });

    it('whose outcome nobody signed are refused, like those that lead nowhere', async () => {
      const [one, two] = [version(1, shares), version(2, renamed(shares, 3, 'forged'))];
      const forged = signSection(two.section, testPeer().identity, Buffer.from(owner.device));
      for (let time = 0; time < 10; time++) {
        change(one, { ...forged, section: two.section });
        told.say({ type: 'delta', head: headOf(two), base: one.digest, size: 3, at: 0, data: Buffer.from('abc') });
        await advance(clock, 1000);
      }
      assert.ok(!names(node).includes('forged'));
      assert.ok(wants().length <= 5, `${wants().length} times`);
    });

    it('grow to no more than what could be sent whole in the time', async () => {
      const large = Array.from({ length: 8000 }, (_, i) => share({ name: `share ${i}`, message: 'm'.repeat(100) }));
      let before = version(2, large);
      whole(before);
      let taken = 0;
      for (let sequence = 3; sequence < 40; sequence++) {
        const after = version(sequence, renamed(large, 9, `version ${sequence}`));
        change(before, after);
        if (!names(node).includes(`version ${sequence}`)) break;
        before = after;
        taken++;
      }
      assert.ok(taken >= 5 && taken <= 10, `${taken} of 2 MB each`);
      assert.deepEqual(wants(), [undefined], 'then it asks for the whole, which takes the sender as much');
    });
  });

  it('bring everybody to what was said last, whatever was lost on the way', async function () {
    this.timeout(120_000);
    const step = fc.oneof(
      fc.record({ kind: fc.constant('change' as const), owner: fc.nat(1), at: fc.nat(99), name: fc.nat(1000) }),
      fc.record({ kind: fc.constant('cut' as const), link: fc.nat(5) }),
      fc.record({ kind: fc.constant('join' as const), link: fc.nat(5) }),
      fc.record({ kind: fc.constant('wait' as const), time: fc.nat(300) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
        clock = new VirtualClock();
        const nodes = [gossiper(), gossiper(), gossiper(), gossiper()];
        const pairs = nodes.flatMap((a, i) => nodes.slice(i + 1).map((b) => [a, b] as const));
        const cuts = new Map<number, () => void>();
        const join = (link: number): void => {
          const pair = pairs[link];
          if (pair && !cuts.has(link)) cuts.set(link, connect(...pair));
        };
        const offered = nodes.slice(0, 2).map(() => many(100));
        for (const [i, shares] of offered.entries()) nodes[i]?.own.set(shares, []);
        for (const one of steps) {
          if (one.kind === 'wait') await advance(clock, one.time);
          else if (one.kind === 'join') join(one.link);
          else if (one.kind === 'cut') {
            cuts.get(one.link)?.();
            cuts.delete(one.link);
          } else {
            offered[one.owner] = renamed(offered[one.owner] ?? [], one.at, `name ${one.name}`);
            nodes[one.owner]?.own.set(offered[one.owner] ?? [], []);
          }
        }
        for (const link of pairs.keys()) join(link);
        await advance(clock, 60_000);
        for (const [i, node] of nodes.entries()) {
          const others = offered.filter((_, owner) => owner !== i).flat();
          assert.deepEqual(names(node), shareNames(others));
          assert.deepEqual(node.warnings, []);
        }
        for (const node of nodes) node.gossip.dispose();
      }),
      { numRuns: 25 },
    );
  });
});
