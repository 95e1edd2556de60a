/** What “peerwire diagnose” says on hosts whose firewall lets nobody in, and on those that are open. */
import assert from 'node:assert/strict';
import { type Host, useLab } from './netns.ts';
import type { Line } from './processes.ts';

describe('diagnosis on hosts of their own', function () {
  this.timeout(60_000);
  const lab = useLab();

  async function diagnosis(host: Host, wait = 10): Promise<(check: string) => Line | undefined> {
    const { lines } = await host.run('home', 'diagnose', '--wait', `${wait}`);
    return (check) => lines.find((line) => line.check === check);
  }

  it('one that drops what comes in is told so, with the command that opens its port; the other that it is reached', async () => {
    const segment = await lab.switch();
    const [closed, open] = [await lab.host(), await lab.host()];
    await segment.plug(closed, { ipv4: '10.9.0.1/24' });
    await segment.plug(open, { ipv4: '10.9.0.2/24' });
    await closed.refuseInbound();
    const { invite } = await open.ok('home', 'network', 'create', 'team');
    await closed.ok('home', 'network', 'join', String(invite));
    const { ready } = await open.peer('home');
    const peer = await closed.peer('home', '--connect', `10.9.0.2:${ready.port}`);
    await peer.event(({ event, peers }) => event === 'peers' && (peers as []).length > 0);

    const [ofClosed, ofOpen] = await Promise.all([diagnosis(closed), diagnosis(open)]);
    const { port } = peer.ready;
    const reachable = ofClosed('reachable');
    assert.equal(reachable?.ok, false);
    assert.match(String(reachable.detail), new RegExp(`could not reach this peer at port ${port}: nobody answered`));
    const fix = `sudo nft insert rule inet firewall input tcp dport ${port} accept`;
    assert.ok(String(reachable.fix).includes(fix), String(reachable.fix));
    assert.match(String(ofClosed('addresses')?.detail), /eth0: 10\.9\.0\.1/);
    assert.equal(ofOpen('reachable')?.ok, true);
    assert.equal(ofOpen('tracker of team')?.ok, true);

    // The command that it names is the one that helps.
    await closed.command('sh', '-c', fix.replace('sudo ', ''));
    const afterwards = await diagnosis(closed);
    assert.equal(afterwards('reachable')?.ok, true, String(afterwards('reachable')?.detail));
  });

  it('one listens on IPv6 and IPv4 unless told otherwise, and on IPv4 where IPv6 is off', async () => {
    const segment = await lab.switch();
    const [both, old, guest] = [await lab.host(), await lab.host(), await lab.host()];
    await segment.plug(both, { ipv4: '10.9.0.1/24', ipv6: 'fd09::1/64' });
    await segment.plug(old, { ipv4: '10.9.0.2/24' });
    await segment.plug(guest, { ipv4: '10.9.0.3/24', ipv6: 'fd09::3/64' });
    await old.command('sh', '-c', 'echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6');
    const { invite } = await both.ok('home', 'network', 'create', 'team');
    await old.ok('home', 'network', 'join', String(invite));
    const [{ ready: first }, { ready: second }] = [
      await both.peer('home', '--no-lan'),
      await old.peer('home', '--no-lan'),
    ];
    const addresses = [`10.9.0.1:${first.port}`, `[fd09::1]:${first.port}`, `10.9.0.2:${second.port}`];
    for (const [index, address] of addresses.entries()) {
      // In a home of its own each time: another would remember other ways.
      const home = `home${index}`;
      await guest.ok(home, 'network', 'join', String(invite));
      const peer = await guest.peer(home, '--listen', 'none', '--no-lan', '--connect', address);
      await peer.event(
        ({ event, peers }) =>
          event === 'peers' && (peers as { address: string }[]).some((row) => row.address === address),
      );
      await peer.end();
    }
  });

  it('one without a cable is told that it has no network', async () => {
    const host = await lab.host();
    await host.ok('home', 'network', 'create', 'team');
    const told = await diagnosis(host, 1);
    assert.deepEqual([told('addresses')?.ok, told('peers of team')?.ok], [false, false]);
  });
});
