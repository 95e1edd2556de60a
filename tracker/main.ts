/**
 * Composition root of the tracker. As a program: `npm run tracker`, or `peerwire tracker`, which runs this file as its
 * child. As a worker thread (an editor that hosts a tracker): `workerData` holds `TrackerOptions`; the worker posts
 * `{ event: 'ready', http, udp, lan }` or `{ event: 'failed', message }` and closes when it is sent `'close'`.
 */
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { errorMessage, PeerwireError } from '../src/common/errors.ts';
import { parseTrackerOptions, TRACKER_HELP } from './options.ts';
import { Tracker } from './tracker.ts';

async function runProgram(): Promise<void> {
  const options = parseTrackerOptions(process.argv.slice(2));
  if (options === 'help') {
    process.stdout.write(TRACKER_HELP);
    return;
  }
  const tracker = await Tracker.start(options);
  const stop = (): void => {
    tracker.close().then(
      () => process.exit(0),
      (error: unknown) => fail(error),
    );
  };
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  // Started by `peerwire tracker`: when that is killed, nobody is left to forward a signal.
  if (process.channel) process.once('disconnect', stop);
  // Whoever started us may not care to read.
  process.stdout.on('error', () => undefined);
  process.stderr.on('error', () => undefined);
  process.stdout.write(`${JSON.stringify(ready(tracker))}\n`);
  for (const url of tracker.lanUrls) process.stderr.write(`Other machines can use ${url}\n`);
}

async function runWorker(port: NonNullable<typeof parentPort>): Promise<void> {
  try {
    const tracker = await Tracker.start(workerData);
    port.on('message', (message) => {
      if (message !== 'close') return;
      void tracker.close().finally(() => port.close());
    });
    port.postMessage(ready(tracker));
  } catch (error) {
    port.postMessage({ event: 'failed', message: errorMessage(error) });
    port.close();
  }
}

function ready(tracker: Tracker): Record<string, unknown> {
  return { event: 'ready', http: tracker.httpUrl, udp: tracker.udpUrl, lan: tracker.lanUrls };
}

function fail(error: unknown): void {
  process.stderr.write(`peerwire: ${errorMessage(error)}\n`);
  process.exit(error instanceof PeerwireError && error.code === 'usage' ? 2 : 1);
}

if (isMainThread || parentPort === null) runProgram().catch(fail);
else void runWorker(parentPort);
