/** Several editor windows and commands on one home, each a process of its own. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { ShareInfo, TransferInfo } from '../../src/peer/api.ts';
import { useCli } from './cli-build.ts';
import { type EditorWindow, EditorWindows } from './editor-windows.ts';
import { Stage } from './processes.ts';

describe('windows of one device, as processes', function () {
  this.timeout(180_000);
  const cli = useCli();
  let stage: Stage;
  let windows: EditorWindows;

  beforeEach(() => {
    stage = new Stage(cli.main);
    windows = new EditorWindows(cli.main);
  });
  afterEach(async () => {
    await windows.dispose();
    await stage.dispose();
  });

  const open = (home: string, workspace?: string, port = 0): EditorWindow =>
    windows.open(stage.path(home), {
      port,
      ...(workspace === undefined ? {} : { workspace: stage.path('workspaces', workspace) }),
    });

  /** Both windows are in one new network, and connected. */
  async function pair(): Promise<[EditorWindow, EditorWindow]> {
    const [a, b] = [open('home', 'a'), open('home', 'b')];
    await a.call('createNetwork', { name: 'team', trackers: [] });
    await b.until('another window', async () => (await b.call('peers')).length === 1);
    await a.until('another window', async () => (await a.call('peers')).length === 1);
    return [a, b];
  }

  function file(name: string, size = 10_000): string {
    mkdirSync(stage.path('files'), { recursive: true });
    writeFileSync(stage.path('files', name), randomBytes(size));
    return stage.path('files', name);
  }

  const digest = (name: string): string => createHash('sha256').update(readFileSync(name)).digest('hex');

  /** The share, once the window lists it and it passes. */
  const listed = (window: EditorWindow, name: string, test: (share: ShareInfo) => boolean = () => true) =>
    window.until(name, async () => (await window.call('shares')).find((share) => share.name === name && test(share)));

  /** The transfer, once it is over. */
  const over = (window: EditorWindow, id: string): Promise<TransferInfo> =>
    window.until('the end of a transfer', async () =>
      (await window.call('transfers')).find(
        (transfer) => transfer.id === id && ['done', 'failed'].includes(transfer.state),
      ),
    );

  it('that start for the first time at once have one identity, and an instance each', async () => {
    const all = ['a', 'b', 'c', undefined].map((workspace) => open('home', workspace));
    const command = stage.ok('home', 'id');
    const states = await Promise.all(all.map((window) => window.call('status')));
    const device = String((await command).device);
    assert.deepEqual(new Set(states.map((state) => state.device)), new Set([device]));
    assert.equal(new Set(states.map(({ instance }) => instance)).size, 4);
    assert.equal(new Set(states.map(({ port }) => port)).size, 4);
    const [first] = all;
    await first?.close();
    const again = await open('home', 'a').call('status');
    assert.deepEqual([again.device, again.instance], [device, states[0]?.instance]);
  });

  it('find each other without tracker or multicast, and one has what another shares', async () => {
    const [a, b] = await pair();
    const source = file('notes.bin');
    await a.call('share', { path: source });
    const before = performance.now();
    const share = await listed(b, 'notes.bin', ({ sources }) => sources === 1);
    // A second at most where nothing else runs: here others test, too.
    assert.ok(performance.now() - before < 5_000);
    assert.equal(share.owner, (await b.call('status')).device);
    const { id } = await b.call('download', {
      ...{ share: share.share, destination: stage.path('out'), onConflict: 'skip' },
    });
    const transfer = await over(b, id);
    assert.equal(transfer.state, 'done', transfer.error?.message);
    assert.equal(digest(stage.path('out', 'notes.bin')), digest(source));
    // A third finds both.
    const c = open('home');
    await c.until('two windows', async () => (await c.call('peers')).length === 2);
    assert.equal((await listed(c, 'notes.bin', ({ sources }) => sources === 2)).sources, 2);
  });
});
