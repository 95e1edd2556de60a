/** What “peerwire diagnose” says on hosts whose firewall lets nobody in, and on those that are open. */
import assert from 'node:assert/strict';
import { CliBuild } from './cli-build.ts';
import { type Host, Lab, requireNamespaces } from './netns.ts';
import type { Line } from './processes.ts';

describe('diagnosis on hosts of their own', function () {
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

  it('one without a cable is told that it has no network', async () => {
    const host = await lab.host();
    await host.ok('home', 'network', 'create', 'team');
    const told = await diagnosis(host, 1);
    assert.deepEqual([told('addresses')?.ok, told('peers of team')?.ok], [false, false]);
  });
});
