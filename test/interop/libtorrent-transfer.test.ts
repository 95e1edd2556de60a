/** A real client on the other side of the wire: libtorrent takes from our engine, and our engine from libtorrent. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once as onceEmitted } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { BandwidthManager } from '../../src/bittorrent/bandwidth-manager.ts';
import { Bitfield } from '../../src/bittorrent/bitfield.ts';
import { FileStorage } from '../../src/bittorrent/file-storage.ts';
import { readHandshake } from '../../src/bittorrent/incoming-wire.ts';
import { encodeTorrent, type Info } from '../../src/bittorrent/metainfo.ts';
import { PieceBuffers } from '../../src/bittorrent/piece-buffers.ts';
import { RateLimiter } from '../../src/bittorrent/rate-limiter.ts';
import { Swarm, type SwarmContent } from '../../src/bittorrent/swarm.ts';
import { systemClock } from '../../src/common/clock.ts';
import { once } from '../../src/common/event.ts';
import { silentLogger } from '../../src/common/log.ts';
import { seededRandom } from '../sim/seeded-random.ts';
import { hasher, makeVersion, type TestVersion } from '../sim/test-version.ts';
import { PlainConnection } from './plain-connection.ts';

const PYTHON = '/usr/bin/python3';
const SCRIPT = path.join(import.meta.dirname, 'libtorrent-client.py');
const KiB = 1024;
const SIZES = [0, 1, 16_383, 16_384, 16_385, 64 * KiB, 64 * KiB + 1, 5_000_000];

describe('transfers with libtorrent', function () {
  this.timeout(180_000);
  let folder: string;
  let version: TestVersion;
  const children: ChildProcess[] = [];
  const swarms: Swarm[] = [];
  const servers: Server[] = [];

  before(function () {
    if (spawnSync(PYTHON, ['-c', 'import libtorrent']).status !== 0) {
      assert.ok(!process.env.CI, 'CI must have python3-libtorrent');
      console.log('    skipped: python3-libtorrent is not installed');
      this.skip();
    }
    version = makeVersion(SIZES, 64 * KiB, seededRandom(1));
  });

  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'peerwire-libtorrent-'));
  });

  afterEach(() => {
    for (const swarm of swarms.splice(0)) swarm.dispose();
    for (const server of servers.splice(0)) server.close();
    for (const child of children.splice(0)) child.kill();
    rmSync(folder, { recursive: true });
  });

  /** Starts a client; resolves with its port and a promise of having everything. */
  async function client(request: object): Promise<{ port: number; seeding: Promise<void> }> {
    const child = spawn(PYTHON, [SCRIPT, JSON.stringify(request)], { stdio: ['pipe', 'pipe', 'inherit'] });
    children.push(child);
    const lines = createInterface({ input: child.stdout });
    let seeding: () => void = () => {};
    const seeded = new Promise<void>((resolve) => {
      seeding = resolve;
    });
    const port = await new Promise<number>((resolve, reject) => {
      child.on('exit', (code) => reject(new Error(`libtorrent ended with ${code}`)));
      lines.on('line', (line) => {
        const message = JSON.parse(line);
        if (message.port !== undefined) resolve(message.port);
        if (message.state === 'seeding') seeding();
      });
    });
    return { port, seeding: seeded };
  }

  function writeFiles(dir: string): void {
    mkdirSync(path.join(dir, version.info.name), { recursive: true });
    version.info.files.forEach((file, index) => {
      writeFileSync(path.join(dir, version.info.name, ...file.path), version.files[index]!);
    });
  }

  function content(dir: string, pieces: 'all' | 'none'): SwarmContent & { have: Bitfield } {
    const { info, layers } = version;
    const have = new Bitfield(info.pieceCount);
    if (pieces === 'all') have.fill();
    const storage = new FileStorage((index) => ({
      kind: 'staged',
      path: path.join(dir, info.name, ...info.files[index]!.path),
    }));
    return { info, layers, have, storage: () => storage };
  }

  function swarm(given?: SwarmContent): Swarm {
    const made = new Swarm(
      {
        infoHash: version.info.infoHash,
        peerId: Buffer.from('-PW0100-interoptest1'),
        clock: systemClock,
        random: Math.random,
        logger: silentLogger,
        hasher,
        buffers: new PieceBuffers(32 * 1024 * KiB),
        upload: new RateLimiter(systemClock),
        download: new BandwidthManager(systemClock).transfer(),
        members: false,
      },
      given,
    );
    swarms.push(made);
    return made;
  }

  /** Accepts connections for a swarm of ours. */
  async function serve(ours: Swarm): Promise<number> {
    const server = createServer((socket) => {
      void readHandshake(new PlainConnection(socket), systemClock).then(
        (incoming) => ours.accept(incoming, 'libtorrent'),
        () => undefined,
      );
    });
    servers.push(server);
    server.listen(0, '127.0.0.1');
    await onceEmitted(server, 'listening');
    return (server.address() as AddressInfo).port;
  }

  async function dial(ours: Swarm, port: number): Promise<void> {
    const socket = connect(port, '127.0.0.1');
    await onceEmitted(socket, 'connect');
    ours.initiate(new PlainConnection(socket), 'libtorrent');
  }

  function assertFiles(dir: string, info: Info): void {
    info.files.forEach((file, index) => {
      if (file.length === 0) return;
      assert.ok(
        readFileSync(path.join(dir, info.name, ...file.path)).equals(version.files[index]!),
        file.path.join('/'),
      );
    });
  }

  const torrent = (): string => encodeTorrent(version.info, version.layers).toString('base64');

  it('libtorrent downloads from us', async () => {
    const source = path.join(folder, 'ours');
    writeFiles(source);
    const port = await serve(swarm(content(source, 'all')));
    const dir = path.join(folder, 'theirs');
    const { seeding } = await client({ torrent: torrent(), dir, peer: ['127.0.0.1', port] });
    await seeding;
    assertFiles(dir, version.info);
  });

  it('libtorrent takes metadata and piece layers from us, given a magnet link', async () => {
    const source = path.join(folder, 'ours');
    writeFiles(source);
    const port = await serve(swarm(content(source, 'all')));
    const dir = path.join(folder, 'theirs');
    const magnet = `magnet:?xt=urn:btmh:1220${version.info.infoHash}`;
    const { seeding } = await client({ magnet, dir, peer: ['127.0.0.1', port] });
    await seeding;
    assertFiles(dir, version.info);
  });

  it('we download from libtorrent, metadata and piece layers included', async () => {
    const source = path.join(folder, 'theirs');
    writeFiles(source);
    cpSync(source, path.join(folder, 'copy'), { recursive: true });
    const { port, seeding } = await client({ torrent: torrent(), dir: source, seed: true });
    // Until it has looked at its files, libtorrent turns peers away.
    await seeding;
    const ours = swarm();
    const gotInfo = once(ours.onInfo);
    await dial(ours, port);
    const info = await gotInfo;
    assert.equal(info.infoHash, version.info.infoHash);
    const layers = await ours.fetchLayers(AbortSignal.timeout(20_000));
    for (const [root, layer] of version.layers) assert.ok(layers.get(root)?.equals(layer));
    const dir = path.join(folder, 'ours');
    const given = { ...content(dir, 'none'), layers };
    ours.provide(given);
    const complete = once(ours.onComplete);
    ours.download(Array.from({ length: info.pieceCount }, (_, index) => index));
    await complete;
    assertFiles(dir, info);
    assert.equal(ours.fetched, info.size);
  });
});
