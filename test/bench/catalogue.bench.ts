import { randomBytes } from 'node:crypto';
import { deserialize, serialize, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { infoHashFromBytes, parseNetworkId, shareIdFromBytes } from '../../src/common/ids.ts';
import { buildNetworks } from '../../src/extension/network-model.ts';
import { type NetworkInfo, type ShareInfo, shareKey } from '../../src/peer/api.ts';
import { type ShareEntry, type SignedSection, signSection } from '../../src/peer/network/catalogue.ts';
import { keyOf } from '../../src/peer/network/catalogue-store.ts';
import { applyDelta, encodeDelta } from '../../src/peer/network/section-delta.ts';
import { VirtualClock } from '../sim/virtual-clock.ts';
import { section, share, type TestNode, type TestPeer, testNode, testPeer } from '../unit/peer/network/support.ts';
import { type Bench, type BenchOptions, type BenchReport, median } from './bench.ts';

const SHARES = 10_000;
const PEERS = 200;
/** Changes of one share that are measured after a first one. */
const CHANGES = 9;

interface Figures {
  join: number;
  sign: number;
  delta: number;
  change: number;
  bytes: number;
  list: number;
  megabytes: number;
  clone: number;
  model: number;
}

export const bench: Bench = {
  about: 'what a catalogue of 10,000 shares costs a member: to have it, to hear of one changed share, to show it',

  async run(options: BenchOptions): Promise<BenchReport> {
    const shapes = [
      { name: `1 peer × ${SHARES} shares`, peers: 1 },
      { name: `${PEERS} peers × ${SHARES / PEERS} shares`, peers: PEERS },
    ];
    const rows: { name: string; figures: Figures }[] = [];
    for (const { name, peers } of shapes) {
      const runs: Figures[] = [];
      for (let run = 0; run < options.runs; run++) {
        options.progress(`${name}, run ${run + 1} of ${options.runs}`);
        runs.push(measure(peers, Math.floor(SHARES / options.scale)));
      }
      const figure = (key: keyof Figures): number => median(runs.map((run) => run[key]));
      rows.push({
        name,
        figures: {
          join: figure('join'),
          sign: figure('sign'),
          delta: figure('delta'),
          change: figure('change'),
          bytes: figure('bytes'),
          list: figure('list'),
          megabytes: figure('megabytes'),
          clone: figure('clone'),
          model: figure('model'),
        },
      });
    }
    const worst = (key: keyof Figures): number => Math.max(...rows.map(({ figures }) => figures[key]));
    return {
      rows: rows.map(({ name, figures }) => ({
        name,
        figures: {
          'all, ms': figures.join,
          'sign, ms': figures.sign,
          'delta, ms': figures.delta,
          'change, ms': figures.change,
          'change, KB': figures.bytes / 1e3,
          'list, ms': figures.list,
          'memory, MB': figures.megabytes,
          'clone, ms': figures.clone,
          'rows, ms': figures.model,
        },
      })),
      targets: [
        { what: 'one changed share, KB that travel', figure: worst('bytes') / 1e3, bound: { atMost: 4 } },
        { what: 'one changed share, ms of the peer', figure: worst('change'), bound: { atMost: 50 } },
        { what: 'all shares listed with their sources, ms', figure: worst('list'), bound: { atMost: 100 } },
        { what: 'a newcomer verifies everything, ms', figure: worst('join'), bound: { atMost: 5_000 } },
        { what: 'memory for what others share, MB', figure: worst('megabytes'), bound: { atMost: 100 } },
        {
          what: 'one changed share, ms of the extension host',
          figure: worst('clone') + worst('model'),
          bound: { atMost: 10 },
        },
      ],
    };
  },
};

function measure(count: number, shares: number): Figures {
  const owners = Array.from({ length: count }, () => testPeer());
  const of = (owner: number): ShareEntry[] =>
    Array.from({ length: shares / count }, (_, i) => share({ name: `share ${i} of ${owner}` }));
  const offered = owners.map((_, i) => of(i).sort((a, b) => (a.share < b.share ? -1 : 1)));
  const signed = owners.map((owner, i) => sign(owner, offered[i] ?? [], 1));
  const before = memory();
  const node = testNode(new VirtualClock());
  const join = processorTime(() => {
    for (const one of signed) take(node, Buffer.from(one.bytes));
    list(node);
  });
  const megabytes = (memory() - before) / 1e6;
  const [owner] = owners;
  let entries = offered[0] ?? [];
  if (!owner) throw new Error('Nobody shares anything.');
  const signs: number[] = [];
  const deltas: number[] = [];
  const changes: number[] = [];
  let bytes = 0;
  for (let change = 0; change <= CHANGES; change++) {
    entries = entries.map((entry, i) => (i === entries.length >> 1 ? { ...entry, version: change + 2 } : entry));
    let next: SignedSection | undefined;
    signs.push(
      processorTime(() => {
        next = sign(owner, entries, change + 2);
      }),
    );
    const before = next && node.store.get(keyOf(next.section));
    if (!next || !before) throw new Error('There is nothing that changes.');
    const { bytes: signed } = next;
    let delta: Buffer | undefined;
    deltas.push(
      processorTime(() => {
        delta = encodeDelta(before.bytes, signed);
      }),
    );
    const arrived = delta && Buffer.from(delta);
    bytes = (arrived ?? signed).length;
    changes.push(
      processorTime(() => {
        take(node, arrived ? applyDelta(before.bytes, arrived) : Buffer.from(signed), next);
        node.store.holdersOf(infoHashFromBytes(randomBytes(32)));
        node.store.catalogues();
      }),
    );
  }
  const lists = Array.from({ length: 5 }, () => processorTime(() => list(node)));
  let shown = infos(node);
  const message = serialize(shown.slice(0, 1));
  const known = new Map(shown.map((one) => [shareKey(one), one]));
  const clones = Array.from({ length: 5 }, () =>
    processorTime(() => {
      const changed: ShareInfo[] = deserialize(message);
      for (const one of changed) known.set(shareKey(one), one);
      shown = [...known.values()];
    }),
  );
  const models = Array.from({ length: 5 }, () =>
    processorTime(() =>
      buildNetworks({ networks: [NETWORK], peers: [], members: [], shares: shown, device: undefined }),
    ),
  );
  return {
    join,
    sign: median(signs.slice(1)),
    delta: median(deltas.slice(1)),
    // The first change has nothing before it that was read.
    change: median(changes.slice(1)),
    bytes,
    list: median(lists),
    megabytes,
    clone: median(clones),
    model: median(models),
  };
}

function sign(owner: TestPeer, shares: readonly ShareEntry[], sequence: number): SignedSection {
  return signSection(section(owner, { sequence, shares }), owner.identity, Buffer.from(owner.device));
}

function take(node: TestNode, bytes: Buffer, as?: SignedSection): void {
  const { kind } = node.store.offer(bytes, as === undefined ? undefined : keyOf(as.section));
  if (kind !== 'new') throw new Error(`The section was not taken: ${kind}.`);
}

/** As `ShareIndex.list` does. */
function list(node: TestNode): number {
  let sources = 0;
  for (const { shares } of node.store.catalogues()) {
    for (const { infohash } of shares) sources += node.store.holdersOf(infohash).length;
  }
  return sources;
}

const NETWORK: NetworkInfo = {
  network: parseNetworkId('1'.repeat(64)),
  name: 'bench',
  trackers: [],
  creator: false,
  admin: false,
  peers: 0,
  state: 'connected',
};

function infos(node: TestNode): ShareInfo[] {
  return node.store.catalogues().flatMap(({ device, name, shares }) =>
    shares.map((entry) => ({
      ...entry,
      share: shareIdFromBytes(randomBytes(16)),
      network: NETWORK.network,
      owner: device,
      ownerName: name,
      own: false,
      sources: 1,
    })),
  );
}

/** Milliseconds of processor time. */
function processorTime(action: () => void): number {
  const before = process.cpuUsage();
  action();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

setFlagsFromString('--expose-gc');
const collectGarbage: unknown = runInNewContext('gc');

/** Bytes in use. */
function memory(): number {
  if (typeof collectGarbage === 'function') collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
