import { createHash, randomBytes } from 'node:crypto';

const PREFIX = '.peerwire-';

/** A new name for a folder or file that is not in its place yet. */
export function newStagingName(): string {
  return `${PREFIX}${randomBytes(8).toString('hex')}`;
}

/** True for names that `newStagingName` makes: never shared, never searched. */
export function isStagingName(name: string): boolean {
  return /^\.peerwire-[0-9a-f]{16}$/.test(name);
}

/** The name beside `name` for a copy that is about to become it: always the same, so that a second run finds it. */
export function stagingNameFor(name: string): string {
  return `${PREFIX}${createHash('sha256').update(name).digest('hex').slice(0, 16)}`;
}
