import { readFile } from 'node:fs/promises';

/** Clock ticks a second in /proc on Linux: fixed for user space. */
const TICKS = 100;

/** Processor seconds of a process (Linux): its own, and those of the children that it has waited for. */
export async function processorTime(pid: number): Promise<{ own: number; children: number }> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  // The name, in parentheses, may hold anything; the fields after it begin with the third.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const seconds = (first: number): number => (Number(fields[first - 3]) + Number(fields[first - 2])) / TICKS;
  return { own: seconds(14), children: seconds(16) };
}
