import nodePath from 'node:path';

/** Is `path` the folder `root` or below it? Both absolute. */
export function isWithin(root: string, path: string): boolean {
  const relative = nodePath.relative(root, path);
  return relative !== '..' && !relative.startsWith(`..${nodePath.sep}`) && !nodePath.isAbsolute(relative);
}

/** Without what lies in a folder that is in the list itself, and without repetitions. */
export function topmost(paths: readonly string[]): string[] {
  const unique = [...new Set(paths)];
  return unique.filter((path) => !unique.some((other) => other !== path && isWithin(other, path)));
}
