/** What strangers can do to a running peer by opening sockets: it must stay small, and reachable for members. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { CliBuild } from './cli-build.ts';
import { LoneMember } from './lone-member.ts';
import { type RunningPeer, Stage } from './processes.ts';

const SOCKETS = 10_000;
/** Addresses of strangers, each with as many places as one may have. */
const ADDRESSES = 50;
const BATCH = 250;
const SITTERS = 250;
const MiB = 1024 * 1024;
/** What the peer may grow by under the flood. Each TLS handshake that it would begin takes some 50 KiB: 10,000 are 500 MiB. */
const MOST_GROWTH = 96 * MiB;
/** A ClientHello that says it is long, and is never whole. */
const HELLO = Buffer.concat([Buffer.from('160301400001003ffc0303', 'hex'), Buffer.alloc(4000)]);

/** Milliseconds after which the deadline of a handshake frees places. */
const BY_DEADLINE = 9500;

describe('a flood of sockets', function () {
  this.timeout(240_000);
  let build: CliBuild;
  let stage: Stage;
  let peer: RunningPeer;
  let member: LoneMember;
  const sockets = new Set<Socket>();

  before(async function () {
    // Linux alone answers at every address of 127/8 without being told to, and tells the memory of others.
    if (process.platform !== 'linux') this.skip();
    build = await CliBuild.create();
  });
  after(() => build?.dispose());
  beforeEach(async () => {
    stage = new Stage(build.main);
    const { invite } = await stage.ok('peer', 'network', 'create', 'team');
    peer = await stage.peer('peer');
    member = LoneMember.join(String(invite));
    // The first handshake loads code.
    (await member.dial(Number(peer.ready.port))).close();
  });
  afterEach(async () => {
    for (const socket of sockets) socket.destroy();
    sockets.clear();
    member.dispose();
    await stage.dispose();
  });

  function memory(): number {
    const status = readFileSync(`/proc/${peer.child.pid}/status`, 'latin1');
    return Number(/VmRSS:\s*(\d+) kB/.exec(status)?.[1]) * 1024;
  }

  /** Opens a socket from the address of a stranger, which sends the beginning of a handshake. */
  function stranger(index: number, onClose?: () => void): Socket {
    const localAddress = `127.0.1.${1 + (index % ADDRESSES)}`;
    const socket = connect({ port: Number(peer.ready.port), host: '127.0.0.1', localAddress });
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.once('connect', () => socket.write(HELLO));
    socket.once('close', () => {
      sockets.delete(socket);
      onClose?.();
    });
    return socket;
  }

  it('of 10,000 from 50 addresses takes little memory, and a member gets in while it goes on', async () => {
    const before = memory();
    let most = before;
    let connected = 0;
    let dials = 0;
    for (let from = 0; from < SOCKETS; from += BATCH) {
      const batch = Array.from({ length: BATCH }, (_, index) => stranger(from + index));
      await Promise.all(
        batch.map((socket) =>
          Promise.race([once(socket, 'connect').then(() => connected++), once(socket, 'close')]).catch(() => undefined),
        ),
      );
      most = Math.max(most, memory());
      if (from === SOCKETS / 2) dials = await enter();
    }
    dials = Math.max(dials, await enter());
    most = Math.max(most, memory());
    assert.ok(connected > SOCKETS / 2, `only ${connected} were accepted at all`);
    assert.ok(most - before < MOST_GROWTH, `it grew by ${Math.round((most - before) / MiB)} MiB`);
    assert.ok(sockets.size <= 200, `${sockets.size} sockets are open`);
    assert.ok(dials <= 40, `it took ${dials} dials`);
  });

  it('that sits on every place, and comes back whenever it is sent away, does not keep a member out', async () => {
    // A machine that is busy otherwise may hold up all of them: the quickest of three counts.
    let best = Number.POSITIVE_INFINITY;
    for (let attempt = 0; attempt < 3 && best >= BY_DEADLINE; attempt++)
      best = Math.min(best, await enterAmongSitters());
    // After 10 s the deadline sends the first away in any case: that is not what lets it in.
    assert.ok(best < BY_DEADLINE, `it took ${Math.round(best)} ms`);
  });

  /** Milliseconds that it took a member to get in, from the first sitter on. */
  async function enterAmongSitters(): Promise<number> {
    let ended = false;
    let returned = 0;
    const sit = (index: number): void => {
      stranger(index, () => {
        returned++;
        if (!ended) void sleep(1000).then(() => ended || sit(index));
      });
    };
    for (let index = 0; index < SITTERS; index++) sit(index);
    // More than there are places for: every place is taken, also to wait in.
    const begun = performance.now();
    while (returned < SITTERS / 4) await sleep(10);
    await enter();
    const took = performance.now() - begun;
    ended = true;
    for (const socket of sockets) socket.destroy();
    return took;
  }

  /** A member dials, again and again as peers do, until it is in; how often it had to. */
  async function enter(): Promise<number> {
    for (let dials = 1; ; dials++) {
      try {
        const channel = await member.dial(Number(peer.ready.port));
        channel.close();
        return dials;
      } catch (error) {
        if (dials === 60) throw error;
        await sleep(250);
      }
    }
  }
});
