/** Numbers for people: short, stable in width where they change often, and the same everywhere. */
import { formatBytes } from '../common/format-bytes.ts';
import type { Translate } from './translate.ts';

/** `rate`: bytes per second. */
export function formatRate(rate: number): string {
  return `${formatBytes(rate)}/s`;
}

export function formatCount(count: number): string {
  return count.toLocaleString('en-US');
}

/** `duration`: milliseconds; two units at most, rounded up so that it never says 0 while something is left. */
export function formatDuration(t: Translate, duration: number): string {
  const seconds = Math.max(1, Math.ceil(duration / 1000));
  if (seconds < 60) return t('{0} s', seconds);
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) {
    const rest = seconds % 60;
    return rest === 0 ? t('{0} min', minutes) : t('{0} min {1} s', minutes, rest);
  }
  const hours = Math.floor(minutes / 60);
  if (hours < 48) {
    const rest = minutes % 60;
    return rest === 0 ? t('{0} h', hours) : t('{0} h {1} min', hours, rest);
  }
  return t('{0} days', Math.round(hours / 24));
}

/** As `formatDuration`, coarser: an estimate that counts single seconds of an hour would only flicker. */
export function formatTimeLeft(t: Translate, duration: number): string {
  const minute = 60_000;
  return formatDuration(t, duration < minute ? duration : Math.ceil(duration / minute) * minute);
}

/** `time` and `now`: milliseconds since the epoch. A clock that runs ahead of ours reads as now. */
export function formatAge(t: Translate, time: number, now: number): string {
  const minutes = Math.floor((now - time) / 60_000);
  if (minutes < 1) return t('just now');
  if (minutes < 60) return t('{0} min ago', minutes);
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return t('{0} h ago', hours);
  const days = Math.floor(hours / 24);
  return days === 1 ? t('yesterday') : t('{0} days ago', days);
}

/** A date and a time of day, in the time zone of this machine. `time`: milliseconds since the epoch. */
export function formatMoment(time: number): string {
  return new Date(time).toLocaleString('en-US', { dateStyle: 'medium', timeStyle: 'short' });
}

/** In one unit, rounded to what is next: what is left of hours and days. `duration`: milliseconds. */
export function formatTimeSpan(t: Translate, duration: number): string {
  const minutes = Math.max(1, Math.round(duration / 60_000));
  if (minutes < 60) return t('{0} min', minutes);
  const hours = Math.round(minutes / 60);
  return hours < 48 ? t('{0} h', hours) : t('{0} days', Math.round(hours / 24));
}

/** A bar of text, for rows that can hold nothing else. `fraction`: 0 to 1; full only when complete. */
export function progressBar(fraction: number, width = 6): string {
  const filled = fraction >= 1 ? width : Math.min(width - 1, Math.max(0, Math.floor(fraction * width)));
  return '▰'.repeat(filled) + '▱'.repeat(width - filled);
}

/** Whole percent; 100 only when complete. */
export function percent(done: number, total: number): number {
  if (total <= 0) return 0;
  return done >= total ? 100 : Math.min(99, Math.floor((done / total) * 100));
}

export function countFiles(t: Translate, count: number): string {
  return count === 1 ? t('1 file') : t('{0} files', formatCount(count));
}

export function countPeers(t: Translate, count: number): string {
  return count === 1 ? t('1 peer') : t('{0} peers', formatCount(count));
}

export function countShares(t: Translate, count: number): string {
  return count === 1 ? t('1 share') : t('{0} shares', formatCount(count));
}

export function countSources(t: Translate, count: number): string {
  return count === 1 ? t('1 source') : t('{0} sources', formatCount(count));
}
