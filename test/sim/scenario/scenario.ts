import { Dice } from '../dice.ts';
import type { Link } from '../memory-connection.ts';
import { LIES, type Lie } from './lies.ts';

const BLOCK = 16_384;
const KiB = 1024;

/** What one run of a whole swarm consists of: plain data, made from a seed, so that it can be printed and shrunk. */
export interface Scenario {
  readonly seed: number;
  /** Bytes of each file. */
  readonly sizes: readonly number[];
  readonly pieceLength: number;
  readonly peers: readonly PeerPlan[];
  readonly links: readonly LinkPlan[];
  readonly faults: readonly LinkFault[];
}

export interface PeerPlan {
  readonly name: string;
  /** A newcomer has nothing but the infohash. */
  readonly role: 'seed' | 'receiver' | 'newcomer';
  /** Part of the pieces that a receiver has already, 0 to 1. */
  readonly share: number;
  /** Bytes per second; 0: unlimited. */
  readonly upload: number;
  readonly download: number;
  /** Bytes for pieces in progress. */
  readonly budget: number;
  /** Most ms of a disk operation, and of hashing a piece. */
  readonly disk: number;
  readonly hashing: number;
  /** The thread that hashes a large piece writes it too. */
  readonly writingThreads: boolean;
  /** When it comes, in ms. */
  readonly joins: number;
  /** When it goes; then it comes back with what it has, or never. */
  readonly leaves?: number;
  readonly returns?: number;
  /** Pieces that somebody reads meanwhile: before all others. */
  readonly reads?: readonly ReadWindow[];
  /** When its limits are lifted, in ms. */
  readonly unlimitedAt?: number;
  readonly storageFault?: StorageFault;
  /** Which hashing of a larger piece fails, because its worker dies. */
  readonly hashFailure?: number;
  /** It sends wrong bytes, or does not keep to the protocol. */
  readonly lie?: Lie;
}

export interface ReadWindow {
  /** In ms, and for how long. */
  readonly at: number;
  readonly ms: number;
  /** Where in the content, 0 to 1, and how many pieces. */
  readonly from: number;
  readonly pieces: number;
}

export interface StorageFault {
  readonly kind: 'disk-full' | 'io';
  readonly on: 'read' | 'write';
  /** In ms. */
  readonly from: number;
  /** In ms; for ever if absent. `from` itself: it hits one operation. */
  readonly until?: number;
}

/** `from` dials `to`, again after a while when the connection was lost. */
export interface LinkPlan extends Link {
  readonly from: number;
  readonly to: number;
}

export interface LinkFault {
  /** Index into the links. */
  readonly link: number;
  /** In ms. */
  readonly at: number;
  /** `cut`: lost, both notice. `dead`: nothing arrives any more, nobody notices. `hold`: one way is late by `ms`. */
  readonly kind: 'cut' | 'dead' | 'hold';
  readonly back: boolean;
  readonly ms: number;
}

const DISK_MS = 80;

/** The scenario of a seed: one in three without any fault. */
export function makeScenario(seed: number): Scenario {
  const dice = new Dice(seed);
  const { sizes, pieceLength } = content(dice);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const faulty = dice.chance(0.67);
  const count = dice.chance(0.05) ? 1 : dice.int(2, 12);
  const peers = Array.from({ length: count }, (_, index) => honestPeer(dice, index, pieceLength, faulty));
  const tiny = total < 60 * KiB && dice.chance(0.3);
  const links = topology(dice, count).map(([from, to]) => ({ from, to, ...link(dice, tiny) }));
  if (faulty) {
    for (let number = dice.int(0, 3); number > 0 && peers.length < 12; number--) {
      const liar = peers.length;
      peers.push({
        ...honestPeer(dice, liar, pieceLength, false),
        name: `liar${liar}`,
        role: 'seed',
        lie: dice.pick(LIES),
      });
      for (let to = 0; to < count; to++) if (dice.chance(0.6)) links.push({ from: liar, to, ...link(dice, false) });
    }
  }
  const faults =
    faulty && links.length > 0 ? Array.from({ length: dice.int(0, 4) }, () => linkFault(dice, links.length)) : [];
  return { seed, sizes, pieceLength, peers, links, faults };
}

function content(dice: Dice): { sizes: number[]; pieceLength: number } {
  const pieceLength = BLOCK << dice.int(0, 4);
  const kind = dice.pick(['edges', 'one', 'some', 'many', 'mixed'] as const);
  const edges = [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, pieceLength - 1, pieceLength, pieceLength + 1];
  switch (kind) {
    case 'edges':
      return { sizes: edges, pieceLength };
    case 'one':
      return { sizes: [dice.magnitude(1, 1_500_000)], pieceLength };
    case 'some':
      return { sizes: Array.from({ length: dice.int(2, 5) }, () => dice.magnitude(1_000, 400_000)), pieceLength };
    case 'many':
      return { sizes: Array.from({ length: dice.int(30, 150) }, () => dice.int(0, 3_000)), pieceLength };
    case 'mixed':
      return {
        sizes: [dice.magnitude(300_000, 1_000_000), ...Array.from({ length: dice.int(1, 6) }, () => dice.pick(edges))],
        pieceLength,
      };
  }
}

function honestPeer(dice: Dice, index: number, pieceLength: number, faulty: boolean): PeerPlan {
  const role =
    index === 0 || (index > 1 && dice.chance(0.2)) ? 'seed' : dice.pick(['receiver', 'receiver', 'newcomer'] as const);
  const rate = (): number => (dice.chance(0.5) ? dice.magnitude(100_000, 2_000_000) : 0);
  const plan = {
    name: `${role}${index}`,
    role,
    share: role === 'receiver' && dice.chance(0.3) ? dice.random() : 0,
    upload: rate(),
    download: dice.chance(0.2) ? dice.magnitude(200_000, 5_000_000) : 0,
    // Who gives slowly keeps memory busy: with room for a piece or two everything would wait for the slowest.
    budget: dice.pick(
      faulty ? [16 * pieceLength, 32 * pieceLength, 8 * 1024 * KiB] : [1, 4, 512].map((count) => count * pieceLength),
    ),
    disk: dice.chance(0.5) ? 0 : dice.int(1, DISK_MS),
    hashing: dice.chance(0.7) ? 0 : dice.int(1, 50),
    writingThreads: dice.chance(0.5),
    joins: dice.chance(0.7) ? 0 : dice.int(0, 3_000),
    ...(dice.chance(0.2) ? { reads: Array.from({ length: dice.int(1, 3) }, () => readWindow(dice)) } : {}),
    ...(dice.chance(0.15) ? { unlimitedAt: dice.int(100, 4_000) } : {}),
  } as const;
  if (!faulty) return plan;
  const leaves = index > 0 && dice.chance(0.15) ? plan.joins + dice.int(200, 6_000) : undefined;
  const returns = leaves !== undefined && dice.chance(0.7) ? leaves + dice.int(100, 8_000) : undefined;
  const storageFault = dice.chance(0.15) ? makeStorageFault(dice, role === 'seed') : undefined;
  return {
    ...plan,
    ...(leaves === undefined ? {} : { leaves }),
    ...(returns === undefined ? {} : { returns }),
    ...(storageFault === undefined ? {} : { storageFault }),
    ...(dice.chance(0.1) ? { hashFailure: dice.int(1, 4) } : {}),
  };
}

function readWindow(dice: Dice): ReadWindow {
  return { at: dice.int(0, 4_000), ms: dice.magnitude(10, 5_000), from: dice.random(), pieces: dice.magnitude(1, 32) };
}

function makeStorageFault(dice: Dice, seed: boolean): StorageFault {
  const from = dice.int(0, 4_000);
  if (!seed && dice.chance(0.5)) return { kind: 'disk-full', on: 'write', from, until: from + dice.int(500, 10_000) };
  const on = seed || dice.chance(0.4) ? 'read' : 'write';
  return dice.chance(0.25) ? { kind: 'io', on, from } : { kind: 'io', on, from, until: from };
}

/** Pairs of who dials and who is dialled. */
function topology(dice: Dice, count: number): [number, number][] {
  const pairs: [number, number][] = [];
  const kind = dice.pick(['full', 'full', 'star', 'chain', 'random'] as const);
  for (let to = 1; to < count; to++) {
    for (let from = 0; from < to; from++) {
      const joined = {
        full: true,
        star: from === 0,
        chain: from === to - 1,
        random: from === to - 1 ? dice.chance(0.8) : dice.chance(0.3),
      }[kind];
      if (joined) pairs.push(dice.chance(0.5) ? [from, to] : [to, from]);
    }
  }
  return pairs;
}

function link(dice: Dice, tiny: boolean): Link {
  const rate = dice.chance(0.15) ? 0 : dice.magnitude(100_000, 5_000_000);
  return {
    latency: dice.chance(0.2) ? 0 : dice.magnitude(1, 120),
    rate,
    window: dice.magnitude(64 * KiB, 2048 * KiB),
    chunk: tiny ? dice.magnitude(1, 64) : dice.pick([1_500, BLOCK, 70_000, 1024 * KiB]),
    // One way slow, as at home.
    ...(rate > 0 && dice.chance(0.15) ? { back: Math.max(50_000, rate / 10) } : {}),
  };
}

function linkFault(dice: Dice, links: number): LinkFault {
  const kind = dice.pick(['cut', 'cut', 'hold', 'hold', 'dead'] as const);
  return {
    link: dice.int(0, links - 1),
    at: dice.magnitude(50, 8_000),
    kind,
    back: dice.chance(0.5),
    ms: kind === 'hold' ? dice.magnitude(200, 30_000) : 0,
  };
}
