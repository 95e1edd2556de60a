/** What an invite, a network and a device keep secret, looked for in all that real processes write and say. */
import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseInvite } from '../../src/peer/trust/invite.ts';
import { useCli } from './cli-build.ts';
import { addressOf, type Line, type Running, Stage } from './processes.ts';

describe('secrets', function () {
  this.timeout(180_000);
  const cli = useCli();
  let stage: Stage;

  beforeEach(() => {
    stage = new Stage(cli.main);
  });
  afterEach(() => stage.dispose());

  /** Everything below a folder but the secret store, by path. */
  function* files(dir: string): Generator<string> {
    for (const entry of readdirSync(dir, { withFileTypes: true })) {
      const full = path.join(dir, entry.name);
      if (entry.isDirectory() && entry.name !== 'secrets') yield* files(full);
      else if (entry.isFile()) yield full;
    }
  }

  it('are in the secret store alone: in no log, event, state or argument of a process', async () => {
    const said: string[] = [];
    const run = async (home: string, args: string[], input = ''): Promise<Line> => {
      const running = stage.start(['--home', stage.path(home), '--json', '--verbose', ...args], {
        input,
        timeout: 60_000,
      });
      const { stdout, stderr, code, lines } = await running.result;
      said.push(stdout, stderr);
      assert.ok(code === 0 || code === 1, stderr);
      return lines[0] ?? {};
    };
    const invite = String((await stage.ok('a', 'network', 'create', 'team')).invite);
    const tracker = await stage.tracker();
    await run('b', ['network', 'join', '-'], invite);
    writeFileSync(stage.path('file.bin'), 'content');
    await run('a', ['share', stage.path('file.bin'), '--message', 'for you']);
    const peers: Running[] = [];
    const a = await stage.peer('a', '--verbose');
    peers.push(a, await stage.peer('b', '--verbose', '--connect', addressOf(a)));
    for (const argv of peers.map(({ child }) => child.spawnargs)) said.push(argv.join(' '));
    await run('b', ['get', 'file.bin', '--out', stage.path('out'), '--wait', '30']);
    for (const args of [['peers'], ['shares'], ['network', 'list'], ['diagnose'], ['id']]) {
      await run('a', args);
      await run('b', args);
    }
    // Errors quote nothing either: a damaged invite, one for a network that is known, one that is no invite.
    await run('c', ['network', 'join', '-'], `${invite.slice(0, -12)}AAAAAAAAAAAA`);
    await run('c', ['network', 'join', '-'], invite.slice(0, 300));
    const { device } = await run('b', ['id']);
    await run('a', ['network', 'revoke', String(device)]);
    for (const peer of peers) {
      const { stdout, stderr } = await peer.end();
      said.push(stdout, stderr);
    }
    said.push((await tracker.process.end()).stderr);

    const { secret, key } = parseInvite(invite);
    const stores = ['a', 'b'].map((home) => [...files(stage.path(home, 'secrets'))]);
    for (const file of stores.flat()) assert.equal(statSync(file).mode & 0o077, 0);
    // Of private keys the scalar: what else is in their text is public.
    const keys = stores.flat().flatMap((file) =>
      [...readFileSync(file, 'utf8').matchAll(/-----BEGIN PRIVATE KEY-----.*?-----END PRIVATE KEY-----/gs)].map(
        ([pem]) => {
          const { d = '' } = createPrivateKey(pem.replaceAll(/\\+n/g, '\n')).export({ format: 'jwk' });
          return Buffer.from(d, 'base64url');
        },
      ),
    );
    assert.equal(keys.length, 3, 'both devices, and the root key of the network');
    const needles = [
      ...[secret, key.scalar, ...keys].flatMap((bytes) => [
        bytes.toString('latin1'),
        bytes.toString('hex'),
        bytes.toString('base64').slice(0, 42),
        bytes.toString('base64url').slice(0, 42),
      ]),
      // The invite as a whole, from its middle: its beginning names the network.
      invite.slice(-60),
      invite.slice(invite.length / 2, invite.length / 2 + 60),
    ];
    const haystacks = new Map<string, string>([['what was said', said.join('\n')]]);
    for (const home of ['a', 'b', 'c'])
      for (const file of files(stage.path(home)))
        haystacks.set(path.relative(stage.dir, file), readFileSync(file, 'latin1'));
    assert.ok(haystacks.size > 5, 'there is state to look at');
    for (const [where, text] of haystacks)
      for (const [index, needle] of needles.entries())
        assert.ok(!text.includes(needle), `secret ${index} is in ${where}`);
    // They can be found where they are: this looks in the right way.
    const stored = (stores[1] ?? []).map((file) => readFileSync(file, 'utf8')).join('\n');
    assert.ok(stored.includes(secret.toString('base64').slice(0, 42)) || stored.includes(secret.toString('hex')));
  });
});
