/** Facts as a peer tells them, to be varied by tests. */
import {
  parseDeviceId,
  parseInfoHash,
  parseNetworkId,
  parsePeerInstance,
  parseShareId,
} from '../../../src/common/ids.ts';
import type {
  DownloadPlan,
  MemberInfo,
  NetworkInfo,
  PeerInfo,
  ShareInfo,
  TransferInfo,
} from '../../../src/peer/api.ts';

export const device = (letter: string) => parseDeviceId(`${letter.repeat(51)}A`);
export const NETWORK = parseNetworkId('1'.repeat(64));
export const SHARE = parseShareId(`${'a'.repeat(25)}a`);
export const INFOHASH = parseInfoHash('a'.repeat(64));
export const NOW = 1_700_000_000_000;

export function network(change: Partial<NetworkInfo> = {}): NetworkInfo {
  return {
    network: NETWORK,
    name: 'Team',
    trackers: [],
    creator: false,
    admin: false,
    peers: 0,
    state: 'looking',
    ...change,
  };
}

export function peer(letter: string, change: Partial<PeerInfo> = {}): PeerInfo {
  return {
    device: device(letter),
    instance: parsePeerInstance('0'.repeat(16)),
    name: `${letter.toLowerCase()}@host`,
    words: ['tiger', 'apple', 'moon', 'river'],
    network: NETWORK,
    address: '192.0.2.1:1',
    via: 'direct',
    since: NOW,
    ...change,
  };
}

export function member(letter: string, change: Partial<MemberInfo> = {}): MemberInfo {
  return {
    network: NETWORK,
    device: device(letter),
    name: `${letter.toLowerCase()}@host`,
    words: ['tiger', 'apple', 'moon', 'river'],
    self: false,
    creator: false,
    admin: false,
    state: 'connected',
    ...change,
  };
}

export function share(change: Partial<ShareInfo> = {}): ShareInfo {
  return {
    share: SHARE,
    infohash: INFOHASH,
    network: NETWORK,
    name: 'report.pdf',
    kind: 'file',
    size: 3_100_000,
    files: 1,
    version: 1,
    time: NOW,
    owner: device('B'),
    ownerName: 'ben@desktop',
    own: false,
    sources: 2,
    ...change,
  };
}

export function transfer(change: Partial<TransferInfo> = {}): TransferInfo {
  return {
    id: 't1',
    direction: 'download',
    share: SHARE,
    infohash: INFOHASH,
    network: NETWORK,
    name: 'report.pdf',
    state: 'downloading',
    size: 1000,
    done: 0,
    fetched: 0,
    rate: 0,
    sources: [],
    limits: { upload: 0, download: 0 },
    priority: 'normal',
    seeding: false,
    ...change,
  };
}

export function plan(files: DownloadPlan['files'], change: Partial<DownloadPlan> = {}): DownloadPlan {
  const count = (state: string): number => files.filter((file) => file.state === state).length;
  return {
    share: share({ kind: 'folder', name: 'docs' }),
    target: '/work/docs',
    files,
    missing: count('missing'),
    same: count('same'),
    different: count('different'),
    fetchSize: 0,
    risky: [],
    ...change,
  };
}
