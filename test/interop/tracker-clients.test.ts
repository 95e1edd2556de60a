/** Real clients that have only our tracker to find each other: aria2 over HTTP, libtorrent over UDP and IPv6. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { encode } from '../../src/bittorrent/bencode.ts';
import { Tracker } from '../../tracker/tracker.ts';

const PYTHON = '/usr/bin/python3';
const PIECE = 16_384;
const CONTENT = Buffer.alloc(100_000, 'peerwire tracker test ');

function has(command: string, ...args: string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  assert.ok(typeof address === 'object' && address !== null);
  return address.port;
}

/** A version 1 torrent: what every client reads. */
function torrent(announce: string): Buffer {
  const pieces: Buffer[] = [];
  for (let at = 0; at < CONTENT.length; at += PIECE) {
    pieces.push(
      createHash('sha1')
        .update(CONTENT.subarray(at, at + PIECE))
        .digest(),
    );
  }
  const info = { length: CONTENT.length, name: 'shared.txt', 'piece length': PIECE, pieces: Buffer.concat(pieces) };
  return encode({ announce, info });
}

describe('tracker with real clients', function () {
  this.timeout(180_000);
  let folder = '';
  const children: ChildProcess[] = [];
  const trackers: Tracker[] = [];

  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'peerwire-interop-'));
    for (const name of ['seed', 'leech']) await mkdir(path.join(folder, name));
    await writeFile(path.join(folder, 'seed', 'shared.txt'), CONTENT);
  });

  afterEach(async () => {
    for (const child of children.splice(0)) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    }
    for (const tracker of trackers.splice(0)) await tracker.close();
    await rm(folder, { recursive: true, force: true });
  });

  async function start(host: string): Promise<Tracker> {
    const tracker = await Tracker.start({ host, port: 0, interval: 5 });
    trackers.push(tracker);
    return tracker;
  }

  function run(command: string, args: readonly string[]): { child: ChildProcess; output: () => string } {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)));
    children.push(child);
    return { child, output: () => output };
  }

  it('brings two aria2 together over HTTP', async function () {
    if (!has('aria2c', '--version')) this.skip();
    const tracker = await start('127.0.0.1');
    const file = path.join(folder, 'shared.torrent');
    await writeFile(file, torrent(tracker.httpUrl));
    const aria2 = async (name: string, ...more: string[]) =>
      run('aria2c', [
        ...[
          '--no-conf',
          '--enable-dht=false',
          '--enable-dht6=false',
          '--bt-enable-lpd=false',
          '--enable-peer-exchange=false',
        ],
        ...['--file-allocation=none', '--disable-ipv6=true', `--listen-port=${await freePort()}`],
        ...['--dir', path.join(folder, name), ...more, file],
      ]);
    await aria2('seed', '--check-integrity=true', '--seed-ratio=0');
    const { child, output } = await aria2('leech', '--seed-time=0');
    const [code] = await once(child, 'exit');
    assert.equal(code, 0, output());
    assert.deepEqual(await readFile(path.join(folder, 'leech', 'shared.txt')), CONTENT);
    assert.ok((tracker.stats.httpAnnounces ?? 0) >= 2);
  });

  const SCRIPT = `
import sys, time, libtorrent as lt
torrent, folder, interface = sys.argv[1:]
quiet = {'enable_dht': False, 'enable_lsd': False, 'enable_upnp': False, 'enable_natpmp': False,
         'allow_multiple_connections_per_ip': True, 'ssrf_mitigation': False, 'listen_interfaces': interface,
         'alert_mask': lt.alert.category_t.tracker_notification | lt.alert.category_t.error_notification}
def add(name, flags):
    session = lt.session(quiet)
    params = lt.add_torrent_params()
    params.ti = lt.torrent_info(torrent)
    params.save_path = folder + '/' + name
    params.flags = (params.flags | flags) & ~lt.torrent_flags.auto_managed & ~lt.torrent_flags.paused
    return session, session.add_torrent(params)
seed_session, seed = add('seed', lt.torrent_flags.seed_mode)
deadline = time.time() + 40
while time.time() < deadline and not any(isinstance(a, lt.tracker_reply_alert) for a in seed_session.pop_alerts()):
    seed_session.wait_for_alert(500)
session, leech = add('leech', lt.torrent_flags.default_flags)
while time.time() < deadline and not leech.status().is_seeding:
    session.wait_for_alert(200)
    for alert in session.pop_alerts(): print(alert.message(), flush=True)
leech.scrape_tracker()
while time.time() < deadline:
    session.wait_for_alert(500)
    for alert in session.pop_alerts():
        print(alert.message(), flush=True)
        if isinstance(alert, lt.scrape_reply_alert):
            print('scraped', alert.complete, alert.incomplete)
            sys.exit(0 if leech.status().is_seeding else 1)
sys.exit(1)
`;

  for (const [name, host, listen, protocol] of [
    ['UDP', '127.0.0.1', '127.0.0.1:0', 'udpUrl'],
    ['HTTP over IPv6', '::1', '[::1]:0', 'httpUrl'],
    ['UDP over IPv6', '::1', '[::1]:0', 'udpUrl'],
  ] as const) {
    it(`brings two libtorrent together over ${name}`, async function () {
      if (!has(PYTHON, '-c', 'import libtorrent')) this.skip();
      const tracker = await start(host).catch(() => this.skip());
      const file = path.join(folder, 'shared.torrent');
      await writeFile(file, torrent(tracker[protocol] ?? ''));
      const script = path.join(folder, 'client.py');
      await writeFile(script, SCRIPT);
      const { child, output } = run(PYTHON, [script, file, folder, listen]);
      const [code] = await once(child, 'exit');
      assert.equal(code, 0, `${output()}\n${JSON.stringify(tracker.stats)}`);
      assert.deepEqual(await readFile(path.join(folder, 'leech', 'shared.txt')), CONTENT);
      const { httpAnnounces = 0, httpScrapes = 0, udpAnnounces = 0, udpScrapes = 0 } = tracker.stats;
      assert.ok(protocol === 'udpUrl' ? udpAnnounces >= 2 && udpScrapes >= 1 : httpAnnounces >= 2 && httpScrapes >= 1);
    });
  }
});
