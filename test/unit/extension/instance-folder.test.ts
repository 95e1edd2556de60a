import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';

import path from 'node:path';
import { takeInstanceFolder } from '../../../src/extension/instance-folder.ts';
import { useTempDir } from '../temp-dir.ts';

describe('instance folder', () => {
  const temp = useTempDir();
  let home: string;

  beforeEach(() => {
    home = temp.path;
  });

  it('is the workspace’s own, and a numbered one while another window has that', async () => {
    const own = path.join(home, 'own');
    const windows = path.join(home, 'windows');
    const first = await takeInstanceFolder(own, windows);
    const second = await takeInstanceFolder(own, windows);
    const third = await takeInstanceFolder(undefined, windows);
    assert.deepEqual([first.path, second.path, third.path], [own, path.join(windows, '1'), path.join(windows, '2')]);
    first.dispose();
    const again = await takeInstanceFolder(own, windows);
    assert.equal(again.path, own);
    for (const folder of [second, third, again]) folder.dispose();
  });

  it('is free again when the window that had it was killed', async function () {
    this.timeout(120_000);
    const own = path.join(home, 'own');
    const script = path.join(home, 'window.ts');
    const module = path.resolve(import.meta.dirname, '../../../src/extension/instance-folder.ts');
    await writeFile(
      script,
      `import { takeInstanceFolder } from ${JSON.stringify(module)};
       await takeInstanceFolder(${JSON.stringify(own)}, ${JSON.stringify(home)});
       setInterval(() => {}, 1000);
       process.send('taken');`,
    );
    const window = fork(script, { stdio: 'ignore' });
    await once(window, 'message');
    const other = await takeInstanceFolder(own, path.join(home, 'windows'));
    assert.notEqual(other.path, own);
    const exited = once(window, 'exit');
    window.kill('SIGKILL');
    await exited;
    const mine = await takeInstanceFolder(own, path.join(home, 'windows'));
    assert.equal(mine.path, own);
    other.dispose();
    mine.dispose();
  });
});
