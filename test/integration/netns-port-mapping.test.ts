/** A home router that forwards ports when it is asked to (NAT-PMP): whoever is outside can dial a peer behind it. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { type Host, useLab } from './netns.ts';

describe('behind a router that forwards ports', function () {
  this.timeout(90_000);
  const lab = useLab();

  it('a peer that asks for it is dialled from outside, and takes its port back when it ends', async () => {
    const [home, street] = [await lab.switch(), await lab.switch()];
    const [inside, router, outside] = [await lab.host(), await lab.host(), await lab.host()];
    await home.plug(inside, { ipv4: '192.168.1.2/24', via4: '192.168.1.1' });
    await home.plug(router, { ipv4: '192.168.1.1/24' });
    const wan = await street.plug(router, { ipv4: '203.0.113.1/24' });
    await street.plug(outside, { ipv4: '203.0.113.9/24' });
    await router.forward();
    await router.masquerade(wan);
    // Unasked, only what the router translates gets in.
    await router.nft('insert rule inet nat forward ct status dnat accept');
    const said = await service(router);

    const tracker = await outside.tracker('203.0.113.9');
    const { invite } = await inside.ok('home', 'network', 'create', 'team', '--tracker', tracker.url);
    await outside.ok('home', 'network', 'join', String(invite));
    const peer = await inside.peer('home', '--map-port');
    const [, port, external, lifetime] = await said((line) => line.startsWith('map '));
    assert.deepEqual([Number(port), lifetime], [peer.ready.port, '7200']);

    const content = randomBytes(300_000);
    await writeFile(inside.path('file.bin'), content);
    const { share } = await inside.ok('home', 'share', inside.path('file.bin'));
    await outside.peer('home', '--listen', 'none');
    const got = await outside.ok('home', 'get', String(share), '--wait', '30', '--out', outside.path('out'));
    assert.ok(content.equals(await readFile(String(got.path))));
    const { lines } = await outside.run('home', 'peers');
    assert.equal(lines[0]?.address, `203.0.113.1:${external}`);

    const diagnosis = await inside.run('home', 'diagnose');
    const told = diagnosis.lines.find(({ check }) => check === 'port mapping');
    assert.match(String(told?.detail), new RegExp(`203\\.0\\.113\\.1, port ${external} \\(NAT-PMP\\)`));

    await peer.end();
    await said((line) => line === `map ${port} ${external} 0`);
  });

  /** Starts the router's service; what resolves with the words of the first line, from then on, that passes. */
  async function service(router: Host): Promise<(test: (line: string) => boolean) => Promise<string[]>> {
    const script = path.join(import.meta.dirname, 'natpmp-router.mjs');
    const child = router.spawn(process.execPath, script, '192.168.1.1', '203.0.113.1');
    const lines: string[] = [];
    const reader = createInterface({ input: child.stdout! });
    reader.on('line', (line) => lines.push(line));
    const said = async (test: (line: string) => boolean): Promise<string[]> => {
      for (;;) {
        const found = lines.find(test);
        if (found !== undefined) return found.split(' ');
        await once(reader, 'line', { signal: AbortSignal.timeout(30_000) });
      }
    };
    await said((line) => line === 'ready');
    return said;
  }
});
