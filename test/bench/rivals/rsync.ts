import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Child, freePort, hasCommand, listening, type Rival } from './rival.ts';

/** A folder served by an rsync daemon in plaintext, until disposed. `work`: where its configuration goes. */
export async function rsyncDaemon(
  folder: string,
  work: string,
): Promise<{ readonly url: string; readonly pid: number; dispose(): Promise<void> }> {
  const port = await freePort();
  const config = path.join(work, 'rsyncd.conf');
  // Started by root it would serve as nobody, who may not read our folders.
  const user = process.getuid?.() === 0 ? ['uid = root', 'gid = root'] : [];
  const lines = ['use chroot = no', 'reverse lookup = no', ...user, '[bench]', `path = ${folder}`, 'read only = yes'];
  await writeFile(config, `${lines.join('\n')}\n`);
  const daemon = new Child('rsync', [
    '--daemon',
    '--no-detach',
    `--port=${port}`,
    '--address=127.0.0.1',
    `--config=${config}`,
  ]);
  await listening(port);
  return {
    url: `rsync://127.0.0.1:${port}/bench/`,
    pid: daemon.process.pid ?? 0,
    dispose: () => daemon.dispose(),
  };
}

/** The rsync daemon, in plaintext and whole files. */
export const rsync: Rival = {
  name: 'rsync daemon, plaintext',

  missing: () => (hasCommand('rsync') ? undefined : 'apt-get install rsync'),

  async prepare({ file, folder }) {
    return {
      async transfer() {
        const into = path.join(folder, 'rsync');
        await mkdir(into);
        const daemon = await rsyncDaemon(path.dirname(file), folder);
        try {
          const start = performance.now();
          const client = new Child('rsync', ['--inplace', `${daemon.url}${path.basename(file)}`, into]);
          await client.success();
          return (performance.now() - start) / 1000;
        } finally {
          await daemon.dispose();
          await rm(into, { recursive: true });
        }
      },
    };
  },
};
