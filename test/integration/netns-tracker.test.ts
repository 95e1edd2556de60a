/** Hosts in different subnets, with no more than a tracker in common; and what remains when that is gone. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { type Host, useLab } from './netns.ts';
import type { RunningPeer } from './processes.ts';

const MIB = 2 ** 20;
/** Milliseconds within which a member that starts again must be back. */
const BACK = 10_000;

describe('behind a router, with a tracker in common', function () {
  this.timeout(60_000);
  const lab = useLab();

  /** A host in a subnet of its own. */
  async function behind(router: Host, subnet: number): Promise<Host> {
    const segment = await lab.switch();
    const host = await lab.host();
    await segment.plug(router, { ipv4: `10.${subnet}.0.1/24` });
    await segment.plug(host, { ipv4: `10.${subnet}.0.2/24`, via4: `10.${subnet}.0.1` });
    return host;
  }
  async function sees(peer: RunningPeer): Promise<void> {
    await peer.event(({ event, peers }) => event === 'peers' && (peers as []).length > 0);
  }

  it('members in two subnets find each other and transfer; when the tracker is dead, one that starts again is back', async function () {
    const router = await lab.host();
    await router.forward();
    const [server, a, b] = [await behind(router, 1), await behind(router, 2), await behind(router, 3)];
    const tracker = await server.tracker('10.1.0.2');
    const { invite } = await a.ok('home', 'network', 'create', 'team', '--tracker', tracker.url);
    await b.ok('home', 'network', 'join', String(invite));
    const first = await a.peer('home');
    let second = await b.peer('home');
    const since = performance.now();
    await Promise.all([sees(first), sees(second)]);
    const met = Math.round(performance.now() - since);

    const content = randomBytes(4 * MIB);
    await writeFile(a.path('file.bin'), content);
    const { share } = await a.ok('home', 'share', a.path('file.bin'));
    const got = await b.ok('home', 'get', String(share), '--wait', '20', '--out', b.path('out'));
    assert.ok(content.equals(await readFile(String(got.path))));

    await tracker.process.end('SIGKILL');
    await second.end('SIGKILL');
    const restarted = performance.now();
    second = await b.peer('home');
    await sees(second);
    const back = Math.round(performance.now() - restarted);
    this.test!.title += `: met after ${met} ms, back ${back} ms after its start`;
    assert.ok(back <= BACK, `it took ${back} ms`);
  });
});
