/** Two hosts on one switch: no tracker, no address typed. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { CliBuild } from './cli-build.ts';
import { type Host, Lab, requireNamespaces } from './netns.ts';
import type { RunningPeer } from './processes.ts';

const MIB = 2 ** 20;
/** Milliseconds in which members on one LAN must see each other. */
const SOON = 3000;

describe('on one switch, without a tracker', function () {
  this.timeout(60_000);
  let cli: CliBuild;
  let lab: Lab;

  before(async function () {
    requireNamespaces(this);
    cli = await CliBuild.create();
  });
  after(() => cli?.dispose());
  beforeEach(() => {
    lab = new Lab(cli.main);
  });
  afterEach(() => lab.dispose());

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
      const listen = family === 'ipv6' ? ['--listen', '[::]:0'] : [];
      const first = await a.peer('home', ...listen);
      const second = await b.peer('home', ...listen);
      const took = await meet(first, second);
      this.test!.title += `: ${took} ms`;
      assert.ok(took <= SOON, `it took ${took} ms`);
      const { lines } = await b.run('home', 'peers');
      assert.match(String(lines[0]?.address), family === 'ipv4' ? /^10\.7\.0\.1:/ : /^\[fd07::1\]:/);
      await transfer(a, b);
    });
});
