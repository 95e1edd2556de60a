/** The laboratory itself: what the other namespace tests rely on. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Host, Lab, requireNamespaces } from './netns.ts';

const CONNECT = `
const socket = require('node:net').connect({ host: process.argv[1], port: Number(process.argv[2]), timeout: 700 });
const end = (word) => { console.log(word); process.exit(); };
socket.on('data', (data) => end(String(data)));
socket.on('timeout', () => end('nothing'));
socket.on('error', (error) => end(error.code));`;
const SERVE = `
require('node:net').createServer((socket) => socket.end(socket.remoteAddress.replace('::ffff:', ''))).listen(7, () => console.log('up'));`;

describe('a laboratory of network namespaces', function () {
  this.timeout(30_000);
  let lab: Lab;

  before(function () {
    requireNamespaces(this);
  });
  beforeEach(() => {
    lab = new Lab('nothing.js');
  });
  afterEach(() => lab.dispose());

  /** Who answers at the address says whom it sees. */
  async function ask(host: Host, address: string): Promise<string> {
    return (await host.command(process.execPath, '-e', CONNECT, address, '7')).trim();
  }
  async function serve(host: Host): Promise<void> {
    await once(host.spawn(process.execPath, '-e', SERVE).stdout!, 'data');
  }

  it('has a router that lets subnets reach each other, hides them, and keeps strangers out', async () => {
    const [inside, outside] = [await lab.switch(), await lab.switch()];
    const [a, router, b] = [await lab.host(), await lab.host(), await lab.host()];
    await inside.plug(a, { ipv4: '10.1.0.2/24', ipv6: 'fd01::2/64', via4: '10.1.0.1', via6: 'fd01::1' });
    await inside.plug(router, { ipv4: '10.1.0.1/24', ipv6: 'fd01::1/64' });
    const uplink = await outside.plug(router, { ipv4: '10.2.0.1/24', ipv6: 'fd02::1/64' });
    const cable = await outside.plug(b, { ipv4: '10.2.0.2/24', ipv6: 'fd02::2/64', via4: '10.2.0.1', via6: 'fd02::1' });
    await Promise.all([serve(a), serve(b)]);
    assert.notEqual(await ask(a, '10.2.0.2'), '10.1.0.2', 'it forwards only when told so');
    await router.forward();
    assert.deepEqual(await Promise.all([ask(a, '10.2.0.2'), ask(a, 'fd02::2'), ask(b, '10.1.0.2')]), [
      ...['10.1.0.2', 'fd01::2', '10.2.0.2'],
    ]);
    await router.masquerade(uplink);
    assert.deepEqual(await Promise.all([ask(a, '10.2.0.2'), ask(a, 'fd02::2'), ask(b, '10.1.0.2')]), [
      ...['10.2.0.1', 'fd02::1', 'nothing'],
    ]);
    await b.refuseInbound();
    assert.deepEqual(await Promise.all([ask(a, '10.2.0.2'), ask(b, '127.0.0.1')]), ['nothing', '127.0.0.1']);
    await cable.pull();
    assert.match(await b.command('ip', 'link', 'show', cable.interface), /NO-CARRIER/);
    await cable.plugIn();
    assert.doesNotMatch(await b.command('ip', 'link', 'show', cable.interface), /NO-CARRIER/);
  });

  it('leaves no namespace and no process behind when its test is killed', async () => {
    const script = `
      import { Lab } from ${JSON.stringify(pathToFileURL(path.join(import.meta.dirname, 'netns.ts')).href)};
      const host = await new Lab('nothing.js').host();
      const child = host.spawn('sleep', '1000');
      child.once('spawn', () => console.log(host.namespace + ' ' + child.pid));`;
    const test = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [namespace, pid] = String((await once(test.stdout!, 'data'))[0])
      .trim()
      .split(' ');
    assert.ok(isRunning(Number(pid)));
    test.kill('SIGKILL');
    // What it leaves is taken away by another process, which says nothing to us.
    while (spawnSync('ip', ['netns', 'list'], { encoding: 'utf8' }).stdout.includes(namespace!))
      await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(isRunning(Number(pid)), false);
  });
});

/** Not counting what has ended and waits to be noticed. */
function isRunning(pid: number): boolean {
  try {
    return !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
  } catch {
    return false;
  }
}
