import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Built, everything lies beside dist/cli.js; in development each part is its own source file. */
const built = !import.meta.url.endsWith('.ts');

function locate(inDist: string, inSource: string): string {
  return fileURLToPath(new URL(built ? inDist : inSource, import.meta.url));
}

export const HASH_WORKER = locate('./hash-worker.cjs', '../peer/hash-worker.ts');
export const PEER_WORKER = locate('./peer-worker.js', '../peer/peer-worker.ts');
export const TRACKER = locate('./tracker.js', '../../tracker/main.ts');

export function installedVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(locate('../package.json', '../../package.json'), 'utf8'));
  return typeof manifest === 'object' && manifest !== null && 'version' in manifest ? String(manifest.version) : '';
}
