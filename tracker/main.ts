/** Composition root of the tracker: `npm run tracker`. `peerwire tracker` and editors that host one run it as a child. */
import { errorMessage, PeerwireError } from '../src/common/errors.ts';
import { parseTrackerOptions, TRACKER_HELP } from './options.ts';
import { Tracker } from './tracker.ts';

async function run(): Promise<void> {
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
  // A terminal and the parent may both send it.
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  // When the parent is killed, nobody is left to forward a signal.
  if (process.channel) process.once('disconnect', stop);
  // Whoever started us may not care to read.
  process.stdout.on('error', () => undefined);
  process.stderr.on('error', () => undefined);
  process.stdout.write(`${JSON.stringify(ready(tracker))}\n`);
  for (const url of tracker.lanUrls) process.stderr.write(`Other machines can use ${url}\n`);
}

function ready(tracker: Tracker): Record<string, unknown> {
  return { event: 'ready', http: tracker.httpUrl, udp: tracker.udpUrl, lan: tracker.lanUrls };
}

function fail(error: unknown): void {
  process.stderr.write(`peerwire: ${errorMessage(error)}\n`);
  process.exit(error instanceof PeerwireError && error.code === 'usage' ? 2 : 1);
}

run().catch(fail);
