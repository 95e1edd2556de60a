import { SingleBar } from 'cli-progress';
import type { Disposable } from '../common/disposable.ts';
import { formatBytes } from '../common/format-bytes.ts';
import type { PeerEvent, TransferInfo } from '../peer/api.ts';
import { EventThrottle } from './event-throttle.ts';
import type { Output } from './output.ts';
import { formatDuration, plural, safeText } from './text.ts';

/** Milliseconds between two progress lines for programs. */
export const REPORT_PERIOD = 500;

/** Shows how far something is: a bar for people who watch, JSON lines for programs, nothing otherwise. */
export interface Progress<T> extends Disposable {
  update(value: T): void;
}

type HashingEvent = Extract<PeerEvent, { event: 'progress' }>;

export function transferProgress(output: Output): Progress<TransferInfo> {
  if (output.interactive) {
    return barProgress((transfer) => ({
      done: transfer.done,
      total: transfer.size,
      text: transferText(transfer),
    }));
  }
  return linesProgress(output, (transfer) => ({ event: 'transfer', transfer }));
}

export function hashingProgress(output: Output): Progress<HashingEvent> {
  if (output.interactive) {
    return barProgress(({ phase, done, total }) => ({
      done: phase === 'scanning' ? 0 : done,
      total: phase === 'scanning' ? 0 : total,
      text:
        phase === 'scanning'
          ? `looking: ${plural(done, 'file')}`
          : `hashing ${formatBytes(done)} of ${formatBytes(total)}`,
    }));
  }
  return linesProgress(output, (event) => event);
}

function transferText({ state, size, done, rate, eta, sources }: TransferInfo): string {
  switch (state) {
    case 'waiting':
      return 'waiting for a source';
    case 'metadata':
      return 'asking what is in it';
    case 'checking':
      return `checking what is here already: ${formatBytes(done)} of ${formatBytes(size)}`;
    case 'placing':
      return 'putting it in place';
    case 'downloading': {
      const connected = sources.filter((source) => source.connected).length;
      const left = eta === undefined ? '' : `, ${formatDuration(eta)} left`;
      return `${formatBytes(done)} of ${formatBytes(size)}, ${formatBytes(rate)}/s${left}, ${plural(connected, 'source')}`;
    }
    default:
      return state;
  }
}

function barProgress<T>(view: (value: T) => { done: number; total: number; text: string }): Progress<T> {
  const bar = new SingleBar({
    format: '{bar} {percentage}%  {text}',
    barCompleteChar: '█',
    barIncompleteChar: '░',
    barsize: 28,
    clearOnComplete: true,
    hideCursor: true,
    stopOnComplete: false,
    stream: process.stderr,
    fps: 10,
  });
  let started = false;
  return {
    update(value) {
      const { done, total, text } = view(value);
      // A bar of unknown length would show 100 %.
      const shown = Math.max(total, 1);
      const payload = { text: safeText(text) };
      if (!started) bar.start(shown, done, payload);
      else {
        bar.setTotal(shown);
        bar.update(done, payload);
      }
      started = true;
    },
    dispose() {
      if (started) bar.stop();
      started = false;
    },
  };
}

function linesProgress<T extends object>(output: Output, line: (value: T) => object): Progress<T> {
  const throttle = new EventThrottle<T>(REPORT_PERIOD, (value) => output.progress(line(value)));
  return {
    update: (value) => throttle.push('', value, false),
    dispose: () => throttle.dispose(),
  };
}
