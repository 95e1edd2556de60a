import assert from 'node:assert/strict';
import { parseTrackerOptions } from '../../../tracker/options.ts';

describe('tracker options', () => {
  it('has defaults that a local network can use', () => {
    assert.deepEqual(parseTrackerOptions([]), { host: '::', port: 6969, interval: 300 });
  });

  it('reads all options', () => {
    const args = ['--host', '::', '--port=0', '--udp-port', '7000', '--interval', '60', '--max-peers', '5', '--json'];
    assert.deepEqual(parseTrackerOptions(args), {
      ...{ host: '::', port: 0, udpPort: 7000, interval: 60 },
      limits: { peers: 5 },
    });
    assert.deepEqual(parseTrackerOptions(['--udp-port', 'none']), {
      ...{ host: '::', port: 6969, interval: 300, udpPort: 'none' },
    });
    assert.equal(parseTrackerOptions(['-h']), 'help');
  });

  for (const args of [
    ['--port', '65536'],
    ['--port', '-1'],
    ['--port', ''],
    ['--port'],
    ['--interval', '0'],
    ['--interval', '1.5'],
    ['--max-peers', '1e9'],
    ['--udp-port', 'maybe'],
    ['--bogus'],
    ['extra'],
  ]) {
    it(`refuses ${args.join(' ')}`, () => {
      assert.throws(() => parseTrackerOptions(args), { name: 'PeerwireError', code: 'usage' });
    });
  }
});
