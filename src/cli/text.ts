/** Text for a terminal. Names come from other people: nothing in them may steer it. */

// C0 and C1 controls (escape sequences, line breaks), zero-width characters, and bidirectional overrides and isolates.
const UNSAFE = /[\p{Cc}\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/gu;

/** One line that prints as it reads. */
export function safeText(text: string): string {
  return text.replaceAll(UNSAFE, '\ufffd');
}

/** Columns padded to the widest cell; the last one is not. */
export function formatTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows].map((row) => row.map(safeText));
  const widths = head.map((_, column) => Math.max(...all.map((row) => [...(row[column] ?? '')].length)));
  const line = (row: readonly string[]): string =>
    row.map((cell, column) => cell + ' '.repeat((widths[column] ?? 0) - [...cell].length)).join('  ');
  return all.map((row) => line(row).trimEnd()).join('\n');
}

/** `duration`: milliseconds. 0.8 s, 12 s, 3 min 5 s, 2 h 10 min. */
export function formatDuration(duration: number): string {
  const seconds = Math.max(0, duration / 1000);
  if (seconds < 9.95) return `${Math.round(seconds * 10) / 10} s`;
  if (seconds < 59.5) return `${Math.round(seconds)} s`;
  const minutes = Math.floor(Math.round(seconds) / 60);
  if (minutes < 60) return `${minutes} min ${Math.round(seconds) % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** How long ago, in one unit. */
export function formatAge(time: number, now: number): string {
  const minutes = Math.floor((now - time) / 60_000);
  if (minutes < 1) return 'now';
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h`;
  return `${Math.floor(minutes / 1440)} days`;
}

export function plural(count: number, one: string, many = `${one}s`): string {
  // Not by `toLocaleString`, which takes 20 ms to load.
  const digits = String(count).replaceAll(/(?<=[0-9])(?=(?:[0-9]{3})+$)/g, ',');
  return `${digits} ${count === 1 ? one : many}`;
}
