/** Two hosts on one switch: no tracker, no address typed. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { type Host, useLab } from './netns.ts';
import type { RunningPeer } from './processes.ts';

const MIB = 2 ** 20;
/** Prints what comes to the multicast group. */
const LISTEN = `
const socket = require('node:dgram').createSocket({ type: 'udp4', reuseAddr: true });
socket.on('message', (data) => process.stdout.write(data));
socket.bind(6771, () => { socket.addMembership('239.192.152.143', '10.7.0.2'); console.log('up'); });`;
/** Milliseconds in which members on one LAN must see each other. */
const SOON = 3000;
/**
 * Hears an announce and claims to be a member under an address elsewhere, then under one of the LAN; prints which of the two is
 * dialled first.
 */
const SPOOF = `
const { createSocket } = require('node:dgram');
const canary = require('node:net').createServer((socket) => {
  console.log(socket.localAddress.replace('::ffff:', ''));
  socket.destroy();
});
const socket = createSocket({ type: 'udp4', reuseAddr: true });
socket.once('message', (data) => {
  const infohash = /Infohash: (.*)/.exec(data)[1];
  const lie = ['BT-SEARCH * HTTP/1.1', 'Port: ' + canary.address().port, 'Infohash: ' + infohash, '', '', ''].join('\\r\\n');
  const say = (address, then) => {
    const from = createSocket('udp4').bind(0, address, () => {
      from.setMulticastInterface('10.7.0.2');
      from.send(lie, 6771, '239.192.152.143', then);
    });
  };
  say('203.0.113.5', () => setTimeout(() => say('10.7.0.2'), 500));
});
canary.listen(0, () => socket.bind(6771, () => { socket.addMembership('239.192.152.143', '10.7.0.2'); console.log('up'); }));`;

describe('on one switch, without a tracker', function () {
  this.timeout(60_000);
  const lab = useLab();

  /** Two hosts with these addresses, in one network. */
  async function pair(family: 'ipv4' | 'ipv6', addresses: readonly [string, string]): Promise<[Host, Host]> {
    const segment = await lab.switch();
    const [a, b] = [await lab.host(), await lab.host()];
    await segment.plug(a, { [family]: addresses[0] });
    await segment.plug(b, { [family]: addresses[1] });
    const { invite } = await a.ok('home', 'network', 'create', 'team');
    await b.ok('home', 'network', 'join', String(invite));
    return [a, b];
  }

  /** Milliseconds from when the later of both was ready until both see the other. */
  async function meet(a: RunningPeer, b: RunningPeer): Promise<number> {
    const since = performance.now();
    for (const peer of [a, b]) await peer.event(({ event, peers }) => event === 'peers' && (peers as []).length > 0);
    return Math.round(performance.now() - since);
  }

  /** Gets a file from one host to the other; resolves with the addresses at which the other was seen. */
  async function transfer(from: Host, to: Host): Promise<void> {
    const content = randomBytes(4 * MIB);
    await writeFile(from.path('file.bin'), content);
    const { share } = await from.ok('home', 'share', from.path('file.bin'));
    const got = await to.ok('home', 'get', String(share), '--wait', '20', '--out', to.path('out'));
    assert.deepEqual([got.bytes, got.sources, content.equals(await readFile(String(got.path)))], [4 * MIB, 1, true]);
  }

  for (const [name, family, addresses] of [
    ['IPv4', 'ipv4', ['10.7.0.1/24', '10.7.0.2/24']],
    ['IPv6 alone', 'ipv6', ['fd07::1/64', 'fd07::2/64']],
  ] as const)
    it(`members see each other within three seconds, and transfer (${name})`, async function () {
      const [a, b] = await pair(family, addresses);
      const first = await a.peer('home');
      const second = await b.peer('home');
      const took = await meet(first, second);
      this.test!.title += `: ${took} ms`;
      assert.ok(took <= SOON, `it took ${took} ms`);
      const { lines } = await b.run('home', 'peers');
      assert.match(String(lines[0]?.address), family === 'ipv4' ? /^10\.7\.0\.1:/ : /^\[fd07::1\]:/);
      await transfer(a, b);
    });

  it('a host that accepts no connections finds others, also when it comes first', async function () {
    const [a, b] = await pair('ipv4', ['10.7.0.1/24', '10.7.0.2/24']);
    const first = await a.peer('home', '--listen', 'none');
    const second = await b.peer('home');
    const early = await meet(first, second);
    await first.end();
    const again = await a.peer('home', '--listen', 'none');
    const late = await meet(again, second);
    this.test!.title += `: ${early} ms, ${late} ms`;
    assert.ok(early <= SOON && late <= SOON);
    await transfer(a, b);
  });

  it('two peers of one machine without any network find each other', async () => {
    const host = await lab.host();
    const { invite } = await host.ok('one', 'network', 'create', 'team');
    await host.ok('two', 'network', 'join', String(invite));
    const took = await meet(await host.peer('one'), await host.peer('two'));
    assert.ok(took <= SOON, `it took ${took} ms`);
  });

  it('a peer that was told not to look is not found', async () => {
    const [a, b] = await pair('ipv4', ['10.7.0.1/24', '10.7.0.2/24']);
    await Promise.all([a.peer('home', '--no-lan'), b.peer('home')]);
    const { lines } = await b.run('home', 'peers', '--wait', '3');
    assert.deepEqual(lines, []);
  });

  it('a datagram makes nobody dial what is not on the LAN, whatever source it claims', async () => {
    const [victim, mallory] = [await lab.host(), await lab.host()];
    const segment = await lab.switch();
    await segment.plug(mallory, { ipv4: '10.7.0.2/24' });
    // What the victim has to do with the rest of the world goes by way of Mallory.
    await segment.plug(victim, { ipv4: '10.7.0.1/24', via4: '10.7.0.2' });
    await mallory.command('ip', 'address', 'add', '203.0.113.5/32', 'dev', 'lo');
    await victim.ok('home', 'network', 'create', 'team');
    const canary = mallory.spawn(process.execPath, '-e', SPOOF);
    await once(canary.stdout!, 'data');
    await victim.peer('home');
    assert.equal(String((await once(canary.stdout!, 'data'))[0]), '10.7.0.2\n');
  });

  it('what is multicast names neither the network nor the device', async () => {
    const [a, b] = await pair('ipv4', ['10.7.0.1/24', '10.7.0.2/24']);
    const heard = b.spawn(process.execPath, '-e', LISTEN);
    await once(heard.stdout!, 'data');
    await a.peer('home');
    const text = String((await once(heard.stdout!, 'data'))[0]);
    assert.match(text, /^BT-SEARCH \* HTTP\/1\.1\r\n(Host|Port|Infohash|cookie): /);
    const { lines } = await a.run('home', 'network', 'list');
    for (const secret of ['team', String(lines[0]?.network), String(lines[0]?.network).slice(0, 16)])
      assert.ok(!text.includes(secret));
  });
});
