import assert from 'node:assert/strict';
import { ActivePiece } from '../../../src/bittorrent/active-piece.ts';
import { ActivePieces } from '../../../src/bittorrent/active-pieces.ts';
import { BlockRequests } from '../../../src/bittorrent/block-requests.ts';
import { BLOCK_SIZE } from '../../../src/bittorrent/merkle.ts';
import type { Info } from '../../../src/bittorrent/metainfo.ts';
import type { PeerSession } from '../../../src/bittorrent/peer-session.ts';
import { type BufferUser, PieceBuffers } from '../../../src/bittorrent/piece-buffers.ts';
import { PiecePicker } from '../../../src/bittorrent/piece-picker.ts';
import { PriorityWindows } from '../../../src/bittorrent/priority-windows.ts';
import { RequestQueue } from '../../../src/bittorrent/request-queue.ts';
import { RequestScheduler } from '../../../src/bittorrent/request-scheduler.ts';
import { RunPicker } from '../../../src/bittorrent/run-picker.ts';
import { SharedSources } from '../../../src/bittorrent/shared-sources.ts';
import type { BlockRequest, Message } from '../../../src/bittorrent/wire/messages.ts';
import { VirtualClock } from '../../sim/virtual-clock.ts';
import { build } from './support.ts';

const BLOCKS = 4;
const PIECE = BLOCKS * BLOCK_SIZE;
const PIECES = 16;

describe('request scheduler', () => {
  let info: Info;
  let clock: VirtualClock;
  let buffers: BufferUser;
  let sessions: Set<PeerSession>;
  let picker: PiecePicker;
  let pieces: ActivePieces<PeerSession>;
  let scheduler: RequestScheduler;
  /** Pieces in the order in which blocks of them were asked for. */
  let asked: number[];

  before(() => {
    info = build('content', PIECE, [{ path: ['content'], size: PIECES * PIECE }], false).info;
  });

  beforeEach(() => {
    clock = new VirtualClock(1);
    buffers = new PieceBuffers(2 * PIECES * PIECE).user(() => 'normal');
    sessions = new Set();
    picker = new PiecePicker(PIECES, () => 0);
    for (let piece = 0; piece < PIECES; piece++) picker.add(piece);
    pieces = new ActivePieces();
    asked = [];
    const requests = new BlockRequests(pieces, clock, () => {});
    const runs = new RunPicker(info, picker, () => 0);
    const sources = new SharedSources().user(
      () => 0,
      () => 'device',
    );
    const urgent = new PriorityWindows();
    scheduler = new RequestScheduler({
      ...{ info, clock, buffers, sessions, picker, pieces, urgent, requests, runs, sources },
    });
  });

  afterEach(() => scheduler.stop());

  /** As much of a session as is looked at: one that has everything, answered nothing yet, and is asked for eight blocks. */
  function peer(): PeerSession {
    const session = {
      requests: new RequestQueue<PeerSession>(clock),
      ...{ amInterested: true, peerChoking: false, fast: true, servesRuns: false },
      ...{ requestQueue: 250, largestRequest: BLOCK_SIZE, throttledUntil: 0, wire: { closed: false } },
      has: () => true,
      send: (message: Message) => {
        if (message.type === 'request') asked.push((message as BlockRequest).piece);
      },
    } as unknown as PeerSession;
    sessions.add(session);
    return session;
  }

  /** A piece of which so many blocks were asked for. */
  function begun(index: number, blocks: number, owner?: PeerSession): void {
    picker.remove(index);
    const piece = new ActivePiece<PeerSession>(index, PIECE, buffers.take(PIECE, 'normal')!, owner);
    if (blocks > 0) piece.request(owner ?? peer(), blocks, 0);
    pieces.add(piece);
  }

  it('has what was begun finished before it begins anything', () => {
    begun(9, 1);
    begun(12, 2);
    scheduler.pump(peer());
    assert.deepEqual(asked.slice(0, 5), [9, 9, 9, 12, 12]);
    const fresh = asked.slice(5);
    assert.equal(fresh.length, 3);
    assert.ok(!fresh.includes(9) && !fresh.includes(12));
    assert.equal(new Set(fresh).size, 1, 'one after another');
  });

  it('leaves to others what they are at, until too much is unfinished', () => {
    const [owner, helper] = [peer(), peer()];
    for (const index of [3, 6, 9]) begun(index, 1, owner);
    scheduler.pump(helper);
    assert.ok(asked.length === 8 && ![3, 6, 9].some((index) => asked.includes(index)), `${asked}`);

    asked = [];
    const second = peer();
    // More than three for each two.
    for (const index of [11, 13]) begun(index, 1, owner);
    scheduler.pump(second);
    assert.deepEqual(asked.slice(0, 3), [3, 3, 3]);
    assert.ok(!asked.slice(3).some((index) => [6, 9, 11, 13].includes(index)), `${asked}`);
  });
});
