import assert from 'node:assert/strict';
import { defaultHome } from '../../../src/cli/default-home.ts';

describe('defaultHome', () => {
  const cases: [NodeJS.Platform, Record<string, string>, string, string][] = [
    ['linux', {}, '/home/ann', '/home/ann/.local/state/peerwire'],
    ['linux', { XDG_STATE_HOME: '/data/state' }, '/home/ann', '/data/state/peerwire'],
    ['linux', { XDG_STATE_HOME: 'relative' }, '/home/ann', '/home/ann/.local/state/peerwire'],
    ['darwin', { XDG_STATE_HOME: '/data/state' }, '/Users/ann', '/Users/ann/Library/Application Support/Peerwire'],
    ['win32', { LOCALAPPDATA: 'D:\\Local' }, 'C:\\Users\\ann', 'D:\\Local\\Peerwire'],
    ['win32', {}, 'C:\\Users\\ann', 'C:\\Users\\ann\\AppData\\Local\\Peerwire'],
  ];
  for (const [platform, env, homedir, expected] of cases) {
    it(`${platform} ${JSON.stringify(env)}`, () => assert.equal(defaultHome({ platform, env, homedir }), expected));
  }
});
