/** Members, admins, settings and invites from the command line, each command a process of its own. */
import assert from 'node:assert/strict';
import { useCli } from './cli-build.ts';
import { addressOf, type Line, Stage } from './processes.ts';

describe('peerwire members', function () {
  this.timeout(180_000);
  const cli = useCli();
  let place: Stage;
  beforeEach(() => {
    place = new Stage(cli.main);
  });
  afterEach(() => place.dispose());

  const listed = async (home: string): Promise<readonly Line[]> => (await place.run(home, 'members')).lines;

  it('lists them, and takes their names and the beginnings of their ids', async () => {
    const { invite } = await place.ok('creator', 'network', 'create', 'team');
    const ids = new Map<string, string>();
    for (const home of ['ann', 'eve']) {
      await place.ok(home, 'network', 'join', String(invite));
      ids.set(home, String((await place.ok(home, 'id', '--set-name', home)).device));
    }
    const creator = await place.peer('creator');
    const ann = await place.peer('ann', '--connect', addressOf(creator));
    const eve = await place.peer('eve', '--connect', addressOf(creator));
    await creator.event(({ peers }) => Array.isArray(peers) && peers.length === 2);
    const members = await listed('creator');
    assert.deepEqual(
      members.map(({ name, state, creator, inviter }) => [name, state, creator, inviter]).slice(1),
      ['ann', 'eve'].map((name) => [name, 'connected', false, members[0]?.device]),
    );
    await place.ok('creator', 'network', 'admin', String(ids.get('ann')).slice(0, 8).toLowerCase());
    await place.ok('creator', 'network', 'rename', 'crew');
    assert.deepEqual((await place.ok('creator', 'network', 'trackers', '--none')).trackers, []);
    // Each look is a command of its own; the peer that runs has no event for it.
    while ((await place.ok('ann', 'network', 'list')).name !== 'crew');
    await creator.end();

    // The admin goes on without the creator.
    const again = (await listed('ann')).find(({ self }) => self);
    assert.equal(again?.admin, true);
    assert.deepEqual(await place.ok('ann', 'network', 'revoke', 'eve'), { device: ids.get('eve'), back: [] });
    assert.equal((await listed('ann')).find(({ name }) => name === 'eve')?.state, 'revoked');
    const refused = await place.run('eve', 'network', 'rename', 'mine');
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /Only the creator of the network and its admins/);
    const unknown = await place.run('ann', 'network', 'revoke', 'nobody');
    assert.equal(unknown.code, 1);
    assert.match(unknown.stderr, /peerwire members/);
    for (const peer of [ann, eve]) await peer.end();
    const text = await place.start(['members', '--home', place.path('ann')]).result;
    assert.match(text.stdout, /^NAME +ROLE +STATE +INVITED BY +WORDS +ID\n.*\bann +admin +this device\b/m);
    assert.match(text.stdout, /^eve +member +revoked by ann /m);
  });

  it('withdraws an invite by the beginning of its id, and prints codes only when asked', async () => {
    await place.ok('creator', 'network', 'create', 'team');
    const { invite } = await place.ok('creator', 'invite', '--expires', '1h');
    const plain = await place.run('creator', 'invite', 'list');
    assert.equal(plain.lines.length, 2);
    assert.ok(!plain.stdout.includes('PW1-'));
    const listed = (await place.run('creator', 'invite', 'list', '--codes')).lines;
    const made = listed.find(({ text }) => text === invite);
    assert.equal(Number(made?.expires) - Number(made?.created), 3_600_000);
    await place.ok('creator', 'invite', 'revoke', String(made?.invite).slice(0, 10));
    const states = (await place.run('creator', 'invite', 'list')).lines.map(({ state }) => state);
    assert.deepEqual(states.sort(), ['revoked', 'valid']);
    const unknown = await place.run('creator', 'invite', 'revoke', 'ffffffffff');
    assert.equal(unknown.code, 1);
    assert.match(unknown.stderr, /peerwire invite list/);
  });
});
