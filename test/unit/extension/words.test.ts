import assert from 'node:assert/strict';
import { type ErrorCode, PeerwireError } from '../../../src/common/errors.ts';
import { lanAddress } from '../../../src/extension/lan-address.ts';
import { explain, remediesFor } from '../../../src/extension/problems.ts';
import { audienceOf, namesOf } from '../../../src/extension/share-access.ts';
import { describeScan, listPaths } from '../../../src/extension/summary.ts';
import { english as t } from '../../../src/extension/translate.ts';
import { device, member, NETWORK } from './samples.ts';

describe('words for what goes out', () => {
  const scan = { files: 214, size: 3_100_000, ignored: 1902, secrets: ['.env', 'id_rsa'], skipped: [] };

  it('sum up a folder', () => {
    assert.equal(
      describeScan(t, scan),
      '214 files, 3.1 MB; 1,902 ignored by .gitignore; 2 look like secrets and are left out',
    );
    assert.equal(describeScan(t, { ...scan, ignored: 0, secrets: [] }), '214 files, 3.1 MB');
    assert.match(describeScan(t, scan, true), /2 look like secrets and are included/);
    const skipped = [{ path: 'a', reason: 'a link' }];
    assert.match(
      describeScan(t, { ...scan, files: 1, secrets: ['.env'], skipped }),
      /^1 file, .*1 looks like a secret and is left out; 1 cannot be shared$/,
    );
  });

  it('list paths and count the rest', () => {
    assert.equal(listPaths(t, ['a', 'b\u202Ec', 'd'], 2), '• a\n• b⟨U+202E⟩c\n… and 1 more');
  });
});

describe('words for what went wrong', () => {
  it('say nothing about what was cancelled', () => {
    assert.equal(explain(t, new PeerwireError('cancelled', 'x')), undefined);
  });

  it('pass the sentence on, without links', () => {
    const problem = explain(t, new PeerwireError('no-sources', 'Nobody has [x](command:y).'));
    assert.deepEqual(problem, {
      code: 'no-sources',
      message: 'Nobody has [x] (command:y).',
      remedies: ['diagnose'],
    });
  });

  it('admit what was not foreseen', () => {
    assert.equal(explain(t, new Error('oops'))?.message, 'Something went wrong: oops');
    assert.deepEqual(explain(t, 'text')?.remedies, ['log']);
  });

  it('offer a way out where there is one', () => {
    const ways: Partial<Record<ErrorCode, string[]>> = {
      tracker: ['diagnose'],
      expired: ['join'],
      closed: ['restart', 'log'],
      usage: [],
    };
    for (const [code, remedies] of Object.entries(ways))
      assert.deepEqual(remediesFor(code as ErrorCode), remedies, code);
  });
});

describe('the address of this machine', () => {
  const address = (text: string, internal = false, family: 'IPv4' | 'IPv6' = 'IPv4') =>
    ({ address: text, family, internal, netmask: '', mac: '', cidr: null, scopeid: 0 }) as never;

  it('is a real interface before a virtual one, and loopback when there is none', () => {
    const lo = [address('127.0.0.1', true)];
    assert.equal(lanAddress({ lo, docker0: [address('172.17.0.1')], eth0: [address('192.0.2.5')] }), '192.0.2.5');
    assert.equal(lanAddress({ lo, docker0: [address('172.17.0.1')] }), '172.17.0.1');
    assert.equal(
      lanAddress({ lo, eth0: [address('169.254.1.1'), address('2001:db8::1', false, 'IPv6')] }),
      '127.0.0.1',
    );
  });
});

describe('words for whom something is shared with', () => {
  it('name a few, and count the rest', () => {
    const members = ['ann', 'ben', 'cleo', 'dan', 'eve'].map((name) => ({ name }));
    assert.equal(namesOf(t, members.slice(0, 3)), 'ann, ben, cleo');
    assert.equal(namesOf(t, members), 'ann, ben and 3 others');
  });

  it('know a device by the name it has in that network, or by its id', () => {
    const to = [device('B'), device('C')];
    assert.equal(audienceOf({ network: NETWORK }, []), undefined);
    assert.deepEqual(
      audienceOf({ network: NETWORK, to }, [member('B', { name: 'ben' })])?.map(({ name }) => name),
      ['ben', 'CCCCCCCC'],
    );
  });
});
