import { PeerwireError } from '../../../src/common/errors.ts';
import { Emitter } from '../../../src/common/event.ts';
import type { PeerApi, PeerEvent, ShareInfo, TransferInfo } from '../../../src/peer/api.ts';
import { PEER_API_METHODS } from '../../../src/peer/api-methods.ts';

/** A peer whose methods all refuse, except those that a test gives. */
export function fakeApi(methods: Partial<PeerApi>): {
  api: PeerApi;
  fire: (event: PeerEvent) => void;
  events: Emitter<PeerEvent>;
} {
  const events = new Emitter<PeerEvent>();
  const refusing = Object.fromEntries(
    PEER_API_METHODS.map((name) => [
      name,
      async () => {
        throw new PeerwireError('unsupported', `The test does not expect ${name}.`);
      },
    ]),
  ) as unknown as PeerApi;
  return { api: { ...refusing, onEvent: events.event, ...methods }, fire: (event) => events.fire(event), events };
}

export function shareInfo(change: Partial<ShareInfo>): ShareInfo {
  return {
    share: 'aaaaaaaaaaaaaaaaaaaaaaaaaa',
    infohash: '0'.repeat(64),
    network: '1'.repeat(64),
    name: 'notes.txt',
    kind: 'file',
    size: 1234,
    files: 1,
    version: 1,
    time: 0,
    owner: 'A'.repeat(52),
    ownerName: 'ann@laptop',
    own: false,
    sources: 1,
    ...change,
  } as ShareInfo;
}

export function transferInfo(change: Partial<TransferInfo>): TransferInfo {
  return {
    id: 't1',
    direction: 'download',
    share: 'aaaaaaaaaaaaaaaaaaaaaaaaaa',
    infohash: '0'.repeat(64),
    network: '1'.repeat(64),
    name: 'notes.txt',
    state: 'downloading',
    size: 100,
    done: 0,
    fetched: 0,
    rate: 0,
    sources: [],
    limits: { upload: 0, download: 0 },
    priority: 'normal',
    seeding: false,
    ...change,
  } as TransferInfo;
}
