import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const OPEN_PEER = new URL('../../../src/peer/open-peer.ts', import.meta.url);

describe('what a peer loads to start', () => {
  it('is no HTTP client: it takes longer than the rest of many a command', async () => {
    const program = `await import('${OPEN_PEER}'); console.log(process.moduleLoadList.join('\\n'));`;
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program]);
    const loaded = stdout.split('\n').map((line) => line.replace('NativeModule ', ''));
    assert.ok(loaded.includes('tls'), stdout);
    assert.deepEqual(
      loaded.filter((name) => /^_?https?(_|$)|undici/.test(name)),
      [],
    );
  });
});
