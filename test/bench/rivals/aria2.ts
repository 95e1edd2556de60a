import { once } from 'node:events';
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { CLI, Running } from '../../integration/processes.ts';
import { makeTorrent } from './make-torrent.ts';
import { Child, freePort, hasCommand, listening, type Rival } from './rival.ts';

const QUIET = [
  '--enable-dht=false',
  '--bt-enable-lpd=false',
  '--enable-peer-exchange=false',
  '--console-log-level=error',
];
const ALIKE = ['--bt-max-peers=4', '--file-allocation=none', '--disable-ipv6=true', '--bt-tracker-interval=1'];

/** aria2, v1 torrent, plaintext. Its peers find each other only through a tracker: ours. */
export const aria2: Rival = {
  name: 'aria2, plaintext',

  missing: () => (hasCommand('aria2c') ? undefined : 'apt-get install aria2'),

  async prepare({ file, folder }) {
    return {
      async transfer() {
        const into = path.join(folder, 'aria2');
        await mkdir(into);
        const tracker = new Running(CLI, ['tracker', '--host', '127.0.0.1', '--port', '0', '--json']);
        const children: Child[] = [];
        const aria = async (dir: string, more: readonly string[]): Promise<Child> => {
          const port = await freePort();
          const args = [`--dir=${dir}`, `--listen-port=${port}`, ...QUIET, ...ALIKE, ...more];
          const child = new Child('aria2c', [...args, path.join(folder, 'v1.torrent')]);
          children.push(child);
          await listening(port);
          return child;
        };
        try {
          const { http } = await tracker.event(({ event }) => event === 'ready');
          makeTorrent(file, path.join(folder, 'v1.torrent'), 'v1', String(http));
          await aria(path.dirname(file), ['--seed-ratio=0', '--bt-seed-unverified=true']);
          const start = performance.now();
          const receiver = await aria(into, ['--seed-time=0']);
          if (receiver.process.exitCode === null) await once(receiver.process, 'exit');
          await receiver.success();
          return (performance.now() - start) / 1000;
        } finally {
          await Promise.all(children.map((child) => child.dispose()));
          await tracker.end('SIGKILL');
          await rm(into, { recursive: true });
        }
      },
    };
  },
};
