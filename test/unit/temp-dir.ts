import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/**
 * A new directory for each test. Call inside `describe`. It is removed at the next test, or at the end: `afterEach` hooks run in
 * the order in which they were made, so one of ours would come before those that end what still writes here.
 */
export function useTempDir(): { readonly path: string; file(name: string, content?: string | Uint8Array): string } {
  let path = '';
  const remove = (): void => {
    // Tests that make things fail leave writes under way.
    if (path !== '') rmSync(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    path = '';
  };
  beforeEach(() => {
    remove();
    path = realpathSync(mkdtempSync(join(tmpdir(), 'peerwire-files-')));
  });
  after(remove);
  return {
    get path() {
      return path;
    },
    file(name, content = name) {
      const file = join(path, name);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, content);
      return file;
    },
  };
}
