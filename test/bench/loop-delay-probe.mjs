// Loaded by `--import` into a process under test (`loop-delay.ts`), and with it into each of its threads: in JavaScript, since
// stripping types would cost every thread some 40 ms of processor time. Told by SIGUSR2, it says how long the loops of the main
// thread and of the peer's thread were held up; those that hash block by design.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { BroadcastChannel, isMainThread, threadName } from 'node:worker_threads';

const folder = process.env.PEERWIRE_BENCH_LOOP_DELAY;
const isPeer = !isMainThread && threadName === 'peerwire-peer';
if ((isMainThread || isPeer) && folder !== undefined) {
  const { monitorEventLoopDelay } = await import('node:perf_hooks');
  // Every 5 ms: looking each millisecond costs 3% of a core, which is part of what is measured.
  const delays = monitorEventLoopDelay({ resolution: 5 });
  delays.enable();
  const take = () => {
    const longest = delays.max / 1e6;
    delays.reset();
    return longest;
  };
  const channel = new BroadcastChannel('peerwire-loop-delay');
  channel.unref();
  if (isPeer) {
    channel.onmessage = ({ data }) => {
      if (data === 'ask') channel.postMessage(take());
    };
  } else {
    process.on('SIGUSR2', () => channel.postMessage('ask'));
    channel.onmessage = ({ data }) => {
      if (typeof data === 'number')
        writeFileSync(path.join(folder, `loop-delay-${process.pid}`), String(Math.max(data, take())));
    };
  }
}
