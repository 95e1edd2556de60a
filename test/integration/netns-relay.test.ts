/** Hosts into which nobody can dial, and one member that everybody can. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { type Cable, type Host, useLab } from './netns.ts';
import { capture } from './netns-capture.ts';
import { type Line, progressOf, type RunningPeer } from './processes.ts';
import { checkTlsRecords } from './tls-records.ts';

const MIB = 2 ** 20;
const RELAY = '10.9.0.1:6881';

describe('two hosts behind firewalls, and one reachable member', function () {
  this.timeout(120_000);
  const lab = useLab();
  let relay: Host;
  let ada: Host;
  let bob: Host;
  let cable: Cable;

  beforeEach(async () => {
    const segment = await lab.switch();
    [relay, ada, bob] = [await lab.host(), await lab.host(), await lab.host()];
    cable = await segment.plug(relay, { ipv4: '10.9.0.1/24' });
    await segment.plug(ada, { ipv4: '10.9.0.2/24' });
    await segment.plug(bob, { ipv4: '10.9.0.3/24' });
    const { invite } = await relay.ok('home', 'network', 'create', 'team');
    for (const host of [ada, bob]) await host.ok('home', 'network', 'join', String(invite));
  });

  /** Until the peer sees so many others: each device with how it is reached. */
  async function sees(peer: RunningPeer, count: number): Promise<Map<string, string>> {
    const { peers } = await peer.event(({ event, peers }) => event === 'peers' && (peers as []).length === count);
    return new Map((peers as Line[]).map(({ device, via }) => [String(device), String(via)]));
  }

  async function transfer(
    from: Host,
    to: Host,
    name: string,
    size: number,
  ): Promise<{ content: Buffer; got: Line; infohash: Buffer }> {
    // What compresses to nothing and repeats would be found in the capture, if anything would.
    const content = Buffer.concat([randomBytes(size - 4096), Buffer.alloc(4096, 'the very words ')]);
    await writeFile(from.path(name), content);
    const { share, infohash } = await from.ok('home', 'share', from.path(name));
    const got = await to.ok('home', 'get', String(share), '--wait', '30', '--out', to.path('out'));
    assert.ok(content.equals(await readFile(String(got.path))));
    return { content, got, infohash: Buffer.from(String(infohash), 'hex') };
  }

  for (const [name, listen, firewall] of [
    ['firewalls drop what comes in', '0.0.0.0:0', true],
    ['neither listens', 'none', false],
  ] as const)
    it(`transfer through the relay, which sees TLS only: ${name}`, async () => {
      if (firewall) for (const host of [ada, bob]) await host.refuseInbound();
      const captured = await capture(cable);
      const c = await relay.peer('home', '--no-lan', '--listen', RELAY);
      const dialing = ['--no-lan', '--listen', listen, '--connect', RELAY];
      const [a, b] = [await ada.peer('home', ...dialing), await bob.peer('home', ...dialing)];
      const [ofAda, ofBob] = [await sees(a, 2), await sees(b, 2)];
      assert.equal(ofAda.get(String(b.ready.device)), 'relay');
      assert.equal(ofAda.get(String(c.ready.device)), 'direct');
      assert.equal(ofBob.get(String(a.ready.device)), 'relay');
      const { content, got, infohash } = await transfer(ada, bob, 'plans-of-ada.bin', 8 * MIB);
      assert.deepEqual([got.bytes, got.sources], [8 * MIB, 1]);

      const streams = await captured.end();
      const size = streams.reduce((sum, { bytes }) => sum + bytes.length, 0);
      assert.ok(size > 2 * content.length, 'it came to the relay, and went on from there');
      const secrets = [
        ...[content.subarray(0, 32), content.subarray(4 * MIB, 4 * MIB + 32), Buffer.from('the very words the very')],
        ...[Buffer.from('plans-of-ada'), infohash.subarray(0, 20)],
        ...[Buffer.from('BitTorrent protocol'), Buffer.from('pw_catalogue')],
      ];
      let records = 0;
      for (const stream of streams) {
        records += checkTlsRecords(stream.bytes, stream.name);
        for (const secret of secrets) {
          assert.ok(secret.length > 10);
          assert.ok(!stream.bytes.includes(secret), `${stream.name} shows ${secret.toString('latin1')}`);
        }
      }
      assert.ok(records > (2 * content.length) / 16_384);
    });

  it('one that can be dialled is called through the member, and the transfer is direct', async () => {
    // Bob cannot be dialled; Ada can, and comes last, so that Bob has not heard of her.
    await bob.refuseInbound();
    await relay.peer('home', '--no-lan', '--listen', RELAY);
    const b = await bob.peer('home', '--no-lan', '--connect', RELAY);
    await sees(b, 1);
    const a = await ada.peer('home', '--no-lan', '--listen', '0.0.0.0:0', '--connect', RELAY);
    for (const peer of [a, b])
      await peer.event(
        ({ event, peers }) =>
          event === 'peers' && (peers as Line[]).length === 2 && (peers as Line[]).every(({ via }) => via === 'direct'),
      );
    const captured = await capture(cable);
    const { content } = await transfer(ada, bob, 'direct.bin', 4 * MIB);
    const passed = (await captured.end()).reduce((sum, { bytes }) => sum + bytes.length, 0);
    assert.ok(passed < content.length / 4, `${passed} bytes went by the member`);
  });

  for (const [name, opened] of [
    ['source', 0],
    ['receiver', 1],
  ] as const)
    it(`a transfer leaves the relay when the ${name} comes to a network in which it can be dialled`, async () => {
      for (const host of [ada, bob]) await host.refuseInbound();
      await relay.peer('home', '--no-lan', '--listen', RELAY);
      const dialing = ['--no-lan', '--listen', '0.0.0.0:0', '--connect', RELAY];
      const a = await ada.peer('home', ...dialing, '--upload-limit', String(2 * MIB));
      const b = await bob.peer('home', ...dialing);
      assert.equal((await sees(b, 2)).get(String(a.ready.device)), 'relay');
      const content = randomBytes(32 * MIB);
      await writeFile(ada.path('moving.bin'), content);
      const { share } = await ada.ok('home', 'share', ada.path('moving.bin'));
      const captured = await capture(cable);
      const getting = bob.start([
        ...['--home', bob.path('home'), '--json', 'get', String(share)],
        ...['--wait', '30', '--out', bob.path('out')],
      ]);
      await getting.says((stderr) => progressOf(stderr) > 2 * MIB);
      const host = [ada, bob][opened] ?? ada;
      await host.admitInbound();
      await host.command('ip', 'address', 'add', `10.9.0.1${opened}/24`, 'dev', host.cables[0]?.interface ?? '');
      const { code, stderr, lines } = await getting.result;
      assert.equal(code, 0, stderr);
      const got = lines.at(-1) as { fetched: number; path: string };
      assert.ok(content.equals(await readFile(got.path)));
      assert.ok(got.fetched <= content.length + MIB, `${got.fetched} bytes were fetched`);
      const passed = (await captured.end()).reduce((sum, { bytes }) => sum + bytes.length, 0);
      // It comes and goes there: a transfer that stayed would be seen twice as a whole.
      assert.ok(passed > 4 * MIB && passed < content.length * 1.25, `${passed} bytes went by the relay`);
    });

  it('nothing goes through a member that does not consent', async () => {
    const c = await relay.peer('home', '--no-lan', '--listen', RELAY, '--no-relay');
    const dialing = ['--no-lan', '--listen', 'none', '--connect', RELAY];
    const [a, b] = [await ada.peer('home', ...dialing), await bob.peer('home', ...dialing)];
    await Promise.all([sees(a, 1), sees(b, 1), sees(c, 2)]);
    await writeFile(ada.path('no.bin'), randomBytes(1000));
    const { share } = await ada.ok('home', 'share', ada.path('no.bin'));
    const { code, stderr } = await bob.run('home', 'get', String(share), '--wait', '12', '--out', bob.path('out'));
    assert.notEqual(code, 0, stderr);
    const { lines } = await bob.run('home', 'peers');
    assert.deepEqual(
      lines.map(({ device }) => device),
      [c.ready.device],
    );
  });
});
