/** A network whose only tracker is one that we did not write: opentracker, which lists what its operator allowed and no more. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { parseInvite } from '../../src/peer/trust/invite.ts';
import { rendezvousInfoHashes } from '../../src/peer/trust/rendezvous.ts';
import { CLI, Stage } from '../integration/processes.ts';

const CONTENT = Buffer.alloc(300_000, 'found by opentracker ');

/** A port that is free for TCP and UDP. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  const socket = createSocket('udp4').bind(address.port, '127.0.0.1');
  await once(socket, 'listening');
  await Promise.all([new Promise<void>((done) => socket.close(done)), new Promise((done) => server.close(done))]);
  return address.port;
}

describe('opentracker as the only tracker', function () {
  this.timeout(120_000);
  let stage: Stage;
  let port: number;
  let tracker: ChildProcess | undefined;

  before(function () {
    if (spawnSync('opentracker', ['-h'], { stdio: 'ignore' }).error) this.skip();
  });

  beforeEach(async () => {
    stage = new Stage(CLI);
    port = await freePort();
    tracker = undefined;
  });

  afterEach(async () => {
    if (tracker?.exitCode === null && tracker.signalCode === null) {
      const ended = once(tracker, 'exit');
      tracker.kill('SIGKILL');
      await ended;
    }
    await stage.dispose();
  });

  /** Allows these infohashes only. It gives up root, and reads its list from the folder that it locks itself into. */
  async function start(infoHashes: readonly Buffer[]): Promise<void> {
    const dir = stage.path('opentracker');
    await mkdir(dir);
    await writeFile(`${dir}/whitelist`, infoHashes.map((hash) => `${hash.toString('hex')}\n`).join(''));
    await chmod(stage.dir, 0o755);
    const listen = ['-i', '127.0.0.1', '-p', `${port}`, '-P', `${port}`];
    tracker = spawn('opentracker', [...listen, '-d', dir, '-w', 'whitelist'], { stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    for (const stream of [tracker.stdout, tracker.stderr]) stream?.on('data', (chunk) => (said += String(chunk)));
    const answers = async (): Promise<boolean> =>
      await fetch(`http://127.0.0.1:${port}/stats`).then(
        () => true,
        () => false,
      );
    while (!(await answers())) assert.equal(tracker.exitCode, null, said);
  }

  for (const [name, scheme] of [
    ['HTTP', 'http'],
    ['UDP', 'udp'],
  ] as const) {
    it(`create, join, share and get work over ${name}`, async () => {
      const url = `${scheme}://127.0.0.1:${port}/announce`;
      const { invite } = await stage.ok('ann', 'network', 'create', 'team', '--tracker', url);
      const { network, secret } = parseInvite(String(invite));
      await start(rendezvousInfoHashes(network, secret, Date.now()));
      await stage.ok('ben', 'network', 'join', String(invite));
      await writeFile(stage.path('notes.txt'), CONTENT);
      await stage.peer('ann');
      const { share } = await stage.ok('ann', 'share', stage.path('notes.txt'));
      await stage.peer('ben');
      const got = await stage.ok('ben', 'get', String(share), '--out', stage.path('out'), '--wait', '60');
      assert.deepEqual(await readFile(stage.path('out', 'notes.txt')), CONTENT);
      assert.equal(got.fetched, CONTENT.length);
    });
  }

  it('says why a tracker that does not list the network is of no use', async () => {
    const url = `http://127.0.0.1:${port}/announce`;
    await stage.ok('ann', 'network', 'create', 'team', '--tracker', url);
    await start([Buffer.alloc(20, 7)]);
    const ann = await stage.peer('ann');
    const { lines } = await stage.run('ann', 'diagnose', '--wait', '5');
    const told = lines.find(({ check }) => check === 'tracker of team');
    assert.equal(told?.ok, false, JSON.stringify(lines));
    assert.match(String(told?.detail), /not authorized/i);
    await ann.end();
  });
});
