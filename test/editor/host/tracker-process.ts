import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { PROJECT } from './paths.ts';

export interface TrackerProcess {
  /** Announce URL. */
  readonly url: string;
  dispose(): Promise<void>;
}

/** The packaged tracker on a free port of this machine. */
export async function startTracker(...args: string[]): Promise<TrackerProcess> {
  const script = path.join(PROJECT, 'dist/tracker.js');
  const child = spawn(process.execPath, [script, '--host', '127.0.0.1', '--port', '0', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  const ready = once(createInterface({ input: child.stdout }), 'line') as Promise<[string]>;
  const line = await Promise.race([ready, exited.then(() => undefined)]);
  if (line === undefined) throw new Error('The tracker did not start.');
  const { http } = JSON.parse(line[0]) as { http: string };
  return {
    url: http,
    dispose: async () => {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
      await exited;
    },
  };
}
