import assert from 'node:assert/strict';
import { signSection } from '../../../../src/peer/network/catalogue.ts';
import { VirtualClock } from '../../../sim/virtual-clock.ts';
import {
  advance,
  hold,
  memoryState,
  section,
  share,
  shareNames,
  type TestNode,
  TestRegister,
  testNode,
  testPeer,
} from './support.ts';

const WEEK = 7 * 24 * 60 * 60 * 1000;

describe('OwnCatalogue', () => {
  let clock: VirtualClock;
  let node: TestNode;
  let published: string[];
  const bob = testPeer();
  const eve = testPeer();

  function watch({ store }: TestNode): string[] {
    const keys: string[] = [];
    store.onChanged((key) => keys.push(key));
    return keys;
  }

  function versions({ store }: TestNode): string[] {
    return store.own().map((signed) => `${signed.section.incarnation}.${signed.section.sequence}`);
  }

  beforeEach(() => {
    clock = new VirtualClock();
    node = testNode(clock);
    published = watch(node);
  });

  it('publishes at once, then after a pause', async () => {
    node.own.start();
    assert.equal(published.length, 1, 'the section for everyone exists from the start: it carries the name');
    await advance(clock, 1000);
    node.own.set([share({ name: 'a' })], []);
    assert.equal(published.length, 2);
    node.own.set([share({ name: 'b' })], []);
    node.own.set([share({ name: 'c' })], []);
    assert.equal(published.length, 2);
    await advance(clock, 100);
    assert.equal(published.length, 3);
    assert.deepEqual(shareNames(node.store.own()[0]?.section.shares ?? []), ['c']);
  });

  it('publishes nothing when nothing changed', async () => {
    const shares = [share(), share()];
    node.own.start();
    node.own.set(shares, []);
    await advance(clock, 1000);
    const count = published.length;
    node.own.set([...shares].reverse(), []);
    await advance(clock, 1000);
    assert.equal(published.length, count);
  });

  it('says each audience only what concerns it', async () => {
    node.own.start();
    await advance(clock, 1000);
    const secret = share({ name: 'secret', to: [bob.device, node.peer.device, bob.device] });
    const held = hold(share({ to: [node.peer.device] }), bob.device);
    node.own.set([share({ name: 'public' }), secret], [held]);
    await advance(clock, 1000);
    const sections = node.store.own().map(({ section: own }) => own);
    assert.deepEqual(
      new Map(sections.map(({ to, shares, holds }) => [to?.join(), `${shareNames(shares)} ${holds.length}`])),
      new Map([
        [undefined, 'public 0'],
        [bob.device, 'secret 1'],
      ]),
    );
    for (const { body, section: own } of node.store.own()) {
      assert.equal(body.includes('secret'), own.to !== undefined);
    }
  });

  it('empties the section of an audience that lost its last share', async () => {
    node.own.start();
    const moving = share({ to: [bob.device] });
    node.own.set([moving], []);
    await advance(clock, 1000);
    node.own.set([{ ...moving, to: [eve.device] }], []);
    await advance(clock, 1000);
    const byAudience = new Map(node.store.own().map(({ section: own }) => [own.to?.join(), own.shares.length]));
    assert.deepEqual(
      byAudience,
      new Map<string | undefined, number>([
        [undefined, 0],
        [bob.device, 0],
        [eve.device, 1],
      ]),
    );
    const sequence = (to: string) =>
      node.store.own().find(({ section: own }) => own.to?.join() === to)?.section.sequence;
    assert.ok((sequence(bob.device) ?? 0) < (sequence(eve.device) ?? 0), 'it leaves the old audience first');
  });

  it('refuses, changing nothing, what others would refuse', async () => {
    node.own.start();
    node.own.set([share({ name: 'good' })], []);
    await advance(clock, 1000);
    const twice = share();
    assert.throws(() => node.own.set([share({ name: 'a/b' })], []), { code: 'unsafe-path' });
    assert.throws(() => node.own.set([twice, twice], []), { code: 'usage' });
    assert.throws(
      () =>
        node.own.set(
          Array.from({ length: 30_000 }, (_, i) => share({ name: `f${i}` })),
          [],
        ),
      {
        code: 'usage',
      },
    );
    await advance(clock, 1000);
    assert.deepEqual(shareNames(node.store.own()[0]?.section.shares ?? []), ['good']);
  });

  it('keeps its signed sections over a restart when they still hold', async () => {
    const state = memoryState();
    const peer = testPeer();
    const first = testNode(clock, new TestRegister(), peer, state);
    const shares = [share()];
    first.own.set(shares, []);
    first.own.start();
    await first.store.save();
    const before = versions(first);

    const second = testNode(clock, new TestRegister(), peer, state);
    await second.store.load();
    second.own.set(shares, []);
    second.own.start();
    assert.deepEqual(versions(second), before);
    second.own.set([], []);
    await advance(clock, 1000);
    const [incarnation] = (versions(second)[0] ?? '').split('.');
    assert.ok(Number(incarnation) > Number((before[0] ?? '').split('.')[0]), 'a new run has a new incarnation');
  });

  it('never uses a version twice when what it wrote was lost in a crash', async () => {
    const state = memoryState();
    const peer = testPeer();
    const first = testNode(clock, new TestRegister(), peer, state);
    first.own.start();
    await first.store.save();
    first.own.set([share()], []);
    await advance(clock, 1000);
    const lost = versions(first);
    // Killed before the change was written.
    state.files.clear();
    const second = testNode(clock, new TestRegister(), peer, state);
    await second.store.load();
    await advance(clock, 1);
    second.own.start();
    second.own.set([share()], []);
    await advance(clock, 1000);
    assert.ok(!versions(second).some((version) => lost.includes(version)));
  });

  it('supersedes what others have of it from a future that it lost', async () => {
    node.own.set([share({ name: 'now' })], []);
    node.own.start();
    const incarnation = clock.wallTime() + 10 ** 9;
    const credentials = Buffer.from(node.peer.device);
    const lost = signSection(
      section(node.peer, { incarnation, sequence: 5, shares: [share({ name: 'lost' })] }),
      node.peer.identity,
      credentials,
    );
    node.own.supersede(lost);
    const [own] = node.store.own();
    assert.equal(own?.section.incarnation, incarnation + 1);
    assert.deepEqual(shareNames(own?.section.shares ?? []), ['now']);

    const limited = signSection(
      section(node.peer, { to: [bob.device], shares: [share({ to: [bob.device] })] }),
      node.peer.identity,
      credentials,
    );
    node.own.supersede(limited);
    const emptied = node.store.own().find(({ section: candidate }) => candidate.to !== undefined);
    assert.equal(emptied?.section.shares.length, 0, 'what we do not offer any more is emptied');
    const count = published.length;
    node.own.supersede(limited);
    assert.equal(published.length, count, 'once is enough');
  });

  it('answers a copy of itself, which answers in turn, ever more rarely', async () => {
    node.own.set([share()], []);
    node.own.start();
    await advance(clock, 1000);
    const count = published.length;
    for (let second = 0; second < 600; second++) {
      const { incarnation } = node.store.own()[0]?.section ?? assert.fail();
      const foreign = section(node.peer, { incarnation: incarnation + 1 });
      node.own.supersede(signSection(foreign, node.peer.identity, Buffer.from(node.peer.device)));
      await advance(clock, 1000);
    }
    const answers = published.length - count;
    assert.ok(answers >= 5 && answers <= 12, `${answers} answers in ten minutes`);
  });

  it('signs again each week, so that nobody forgets it', async () => {
    node.own.set([share()], []);
    node.own.start();
    await advance(clock, 1000);
    const count = published.length;
    await advance(clock, WEEK - 2000);
    assert.equal(published.length, count);
    await advance(clock, 60 * 60 * 1000);
    assert.equal(published.length, count + 1);
  });

  it('takes the new name at once', async () => {
    node.own.start();
    await advance(clock, 1000);
    node.own.setName('  Bob\u202E ');
    assert.equal(node.store.own()[0]?.section.name, 'Bob');
  });

  it('stops with its owner', async () => {
    node.own.start();
    node.own.set([share()], []);
    node.own.dispose();
    const count = published.length;
    await advance(clock, 2 * WEEK);
    assert.equal(published.length, count);
  });
});
