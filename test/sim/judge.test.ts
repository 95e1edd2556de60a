import assert from 'node:assert/strict';
import { PeerSession } from '../../src/bittorrent/peer-session.ts';
import { expectationOf } from './scenario/expectation.ts';
import type { Outcome } from './scenario/run-scenario.ts';
import { runScenario } from './scenario/run-scenario.ts';
import type { LinkPlan, PeerPlan, Scenario } from './scenario/scenario.ts';
import { makeScenario } from './scenario/scenario.ts';
import { shrink, without } from './scenario/shrink.ts';

const peer = (name: string, plan: Partial<PeerPlan> = {}): PeerPlan => ({
  name,
  role: 'receiver',
  share: 0,
  upload: 0,
  download: 0,
  budget: 8 * 1024 * 1024,
  disk: 0,
  hashing: 0,
  writingThreads: false,
  joins: 0,
  ...plan,
});
const link = (from: number, to: number, plan: Partial<LinkPlan> = {}): LinkPlan => ({
  from,
  to,
  latency: 1,
  rate: 1_000_000,
  ...plan,
});
const seed = peer('seed0', { role: 'seed' });

const scenario = (parts: Partial<Scenario>): Scenario => ({
  seed: 1,
  sizes: [500_000],
  pieceLength: 65_536,
  peers: [seed, peer('receiver1'), peer('receiver2')],
  links: [link(0, 1), link(1, 2)],
  faults: [],
  ...parts,
});

/** Runs it with something broken that the scenario does not tell of. */
async function broken(parts: Partial<Scenario>, breakIt: Parameters<typeof runScenario>[2]): Promise<string> {
  return (await runScenario(scenario(parts), false, breakIt)).violations.join('\n');
}

describe('the judge of the simulation', () => {
  it('has nothing against a swarm that works', async () => {
    assert.deepEqual((await runScenario(scenario({}))).violations, []);
  });

  it('sees an honest peer that sends wrong bytes', async () => {
    const found = await broken({}, ({ sim }) => {
      sim.peers[0]!.storage.corrupt = (_file, _offset, view) => view.fill(1);
    });
    assert.match(found, /seed0 → receiver1 sends wrong bytes/);
  });

  it('sees one wrong byte in a run of small files', async () => {
    const small = { sizes: new Array<number>(300).fill(1_000) };
    assert.equal(await broken(small, () => {}), '');
    const found = await broken(small, ({ sim }) => {
      sim.peers[0]!.storage.corrupt = (fileIndex, _offset, view) => {
        if (fileIndex % 50 === 7) view[999] = (view[999] ?? 0) ^ 1;
      };
    });
    assert.match(found, /seed0 → receiver1 sends wrong bytes/);
  });

  it('sees a wrong byte that is written', async () => {
    const found = await broken({}, ({ sim }) => {
      const { storage } = sim.peers[1]!;
      const write = storage.write.bind(storage);
      storage.write = (file, offset, data) => write(file, offset, data.slice().fill(7, 10, 11));
    });
    assert.match(found, /writes wrong bytes into file 0/);
  });

  it('sees a stall of a minute', async () => {
    const found = await broken({}, ({ sim }) => {
      const { write } = sim.peers[1]!.storage;
      sim.peers[1]!.storage.write = async (...args) => {
        await sim.pause(60_000);
        await write.apply(sim.peers[1]!.storage, args);
      };
    });
    assert.match(found, /receiver2 misses 8 pieces after/);
  });

  it('sees a timer and a buffer that stay', async () => {
    const timer = await broken({}, ({ sim }) => {
      sim.clock.setInterval(() => {}, 1_000);
    });
    assert.match(timer, /1 timers were left/);
    const buffer = await broken({}, ({ sim }) => {
      sim.peers[1]!.buffers.take(1, 'first');
    });
    assert.match(buffer, /receiver1 kept 16384 bytes of buffers/);
  });

  it('sees memory beyond the budget, and claims without content', async () => {
    const memory = await broken({}, ({ sim }) => {
      sim.peers[1]!.buffers.take(32 * 1024 * 1024, 'first');
    });
    assert.match(memory, /receiver1: beyondBudget is/);
    const claims = await broken({}, ({ sim }) => {
      sim.peers[1]!.have.add(3);
    });
    assert.match(claims, /receiver1 → receiver2 sends wrong bytes as 3/);
  });

  it('sees requests that are neither answered nor refused, however they arrive', async () => {
    const flood = (rejects: boolean): Promise<string> => {
      const { reject } = PeerSession.prototype;
      if (!rejects) PeerSession.prototype.reject = () => {};
      const liar = peer('liar3', { role: 'seed', lie: 'never-reads' });
      const links = [
        link(0, 1),
        link(1, 2, { rate: 20_000 }),
        link(3, 0, { latency: 5, rate: 5_000_000, chunk: 2 ** 20 }),
      ];
      // Thousands of them at one moment.
      const faults = [{ link: 2, at: 500, kind: 'hold', back: false, ms: 12_000 } as const];
      return broken({ peers: [seed, peer('receiver1'), peer('receiver2'), liar], links, faults }, () => {}).finally(
        () => {
          PeerSession.prototype.reject = reject;
        },
      );
    };
    assert.equal(await flood(true), '');
    assert.match(await flood(false), /seed0 → liar3: requests is \d+, more than/);
  });

  it('sees bytes that come twice, however few', async () => {
    const again = (name: string, bytes: number) =>
      broken({ sizes: [40_000, 3_000] }, ({ sim }) => {
        const { swarm } = sim.peers.find((one) => one.name === name)!;
        const { get } = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(swarm), 'fetched')!;
        Object.defineProperty(swarm, 'fetched', { get: () => get!.call(swarm) + bytes });
      });
    // It has one neighbor, from whom each byte is asked once.
    assert.match(await again('receiver2', 1), /receiver2 fetched 1 bytes too many of 43000/);
    assert.match(await again('receiver1', 43_001), /receiver1 fetched 43001 bytes too many of 43000/);
    assert.equal(await again('receiver1', 43_000), '');
    // Who has all and meets nobody needs nothing.
    const alone = peer('receiver2', { share: 1 });
    assert.deepEqual(
      (await runScenario(scenario({ peers: [seed, peer('receiver1'), alone], links: [link(0, 1)] }))).violations,
      [],
    );
  });

  it('sees a rejected promise that nobody heeds', async () => {
    const found = await broken({}, () => {
      void Promise.reject(new Error('unheeded'));
    });
    assert.match(found, /unheeded/);
  });

  it('expects completion of those that have a way to everything, and no more', () => {
    const names = (parts: Partial<Scenario>): string[] => [...expectationOf(scenario(parts)).completers];
    assert.deepEqual(names({}), ['seed0', 'receiver1', 'receiver2']);
    assert.deepEqual(names({ links: [link(0, 1)] }), ['seed0', 'receiver1']);
    assert.deepEqual(names({ faults: [{ link: 1, at: 1, kind: 'dead', back: false, ms: 0 }] }), ['seed0', 'receiver1']);
    const leaving = peer('receiver1', { leaves: 100 });
    assert.deepEqual(names({ peers: [seed, leaving, peer('receiver2')] }), ['seed0']);
    const full = peer('receiver1', { storageFault: { kind: 'io', on: 'write', from: 0 } });
    assert.deepEqual(names({ peers: [seed, full, peer('receiver2')] }), ['seed0']);
    const liar = peer('liar0', { role: 'seed', lie: 'late' });
    assert.deepEqual(names({ peers: [liar, peer('receiver1'), peer('receiver2')] }), []);
  });

  it('expects it within twice the time of the way, and some seconds', () => {
    const { within } = expectationOf(
      scenario({ links: [link(0, 1, { rate: 100_000 }), link(1, 2, { rate: 50_000 })] }),
    );
    assert.ok(within > 2 * 15_000 && within < 2 * 15_000 + 7_000, `${within} ms`);
  });

  it('leaves out what a failure does not need, and keeps the names of the rest', async () => {
    const whole = makeScenario(7);
    const fails = (candidate: Scenario): boolean => candidate.peers.some(({ name }) => name === whole.peers[1]?.name);
    const run = async (candidate: Scenario): Promise<Outcome> =>
      ({ violations: fails(candidate) ? [`after ${candidate.peers.length} s it failed`] : [] }) as unknown as Outcome;
    const dropped = await shrink(whole, await run(whole), run, 1_000);
    const small = without(whole, dropped);
    assert.deepEqual(
      small.peers.map(({ name }) => name),
      [whole.peers[0]?.name, whole.peers[1]?.name],
    );
    assert.deepEqual([small.links.length, small.faults.length], [0, 0]);
  });
});
