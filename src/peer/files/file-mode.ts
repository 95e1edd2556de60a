import { readFileSync } from 'node:fs';

/** Never executable, whatever the sender's file was. */
const FILE_MODE = 0o644;

/**
 * Mode of a placed file: 0644 less what the user's umask takes away. `process.umask()` sets the mask to read it, for all
 * threads at once, so it is read from the kernel where that is possible.
 */
export function placedFileMode(): number {
  return FILE_MODE & ~umask();
}

function umask(): number {
  try {
    const digits = /^Umask:\s*([0-7]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
    return digits === undefined ? 0 : Number.parseInt(digits, 8);
  } catch {
    // Not Linux: the plain mode it is.
    return 0;
  }
}
