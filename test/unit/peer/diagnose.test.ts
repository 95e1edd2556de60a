import assert from 'node:assert/strict';
import { PeerwireError } from '../../../src/common/errors.ts';
import { diagnose, type NetworkDiagnosis } from '../../../src/peer/diagnose.ts';
import type { TrackerStatus } from '../../../src/peer/network/tracker-announcer.ts';

function tracker(ok: boolean | undefined, problem?: string): TrackerStatus {
  return { url: 'http://tracker.example/announce', ok, ...(problem === undefined ? {} : { problem }) };
}

function network(fields: Partial<NetworkDiagnosis>): NetworkDiagnosis {
  return { name: 'team', peers: 2, refusal: undefined, trackers: [tracker(true)], ...fields };
}

describe('diagnosis', () => {
  it('finds nothing where everything works', () => {
    const lines = diagnose(6881, [network({})]);
    assert.deepEqual(
      lines.map(({ check, ok, fix }) => [check, ok, fix]),
      [
        ['listening', true, undefined],
        ['tracker of team', true, undefined],
        ['peers of team', true, undefined],
      ],
    );
    assert.match(lines[0]!.detail, /6881/);
  });

  const down = tracker(false, 'No tracker answers.');
  const troubles: [string, number | undefined, NetworkDiagnosis[], string[]][] = [
    ['no port', undefined, [network({})], ['listening']],
    ['no network', 6881, [], ['network']],
    ['no tracker', 6881, [network({ trackers: [] })], ['tracker of team']],
    ['a tracker that has not answered yet', 6881, [network({ trackers: [tracker(undefined)] })], ['tracker of team']],
    [
      'a tracker that does not answer, and nobody there',
      6881,
      [network({ peers: 0, trackers: [tracker(undefined), down] }), network({ name: 'other' })],
      ['tracker of team', 'peers of team'],
    ],
    [
      'a membership that ended, and nothing that would not help',
      6881,
      [network({ peers: 0, refusal: new PeerwireError('revoked', 'Removed.'), trackers: [down] })],
      ['membership of team'],
    ],
  ];
  for (const [name, port, networks, expected] of troubles) {
    it(`names ${name}, with a remedy`, () => {
      const wrong = diagnose(port, networks).filter(({ ok }) => !ok);
      assert.deepEqual(
        wrong.map(({ check }) => check),
        expected,
      );
      for (const { fix } of wrong) assert.ok(fix);
    });
  }

  it('is content with one tracker of several', () => {
    const lines = diagnose(6881, [network({ trackers: [down, tracker(true)] })]);
    assert.equal(lines.find(({ check }) => check === 'tracker of team')?.ok, true);
  });

  it('says why no tracker answers', () => {
    const lines = diagnose(6881, [network({ trackers: [down] })]);
    assert.equal(lines.find(({ check }) => check === 'tracker of team')?.detail, 'No tracker answers.');
  });

  it('says what a device can do that nobody will have', () => {
    const fixOf = (code: 'revoked' | 'expired'): string =>
      diagnose(6881, [network({ refusal: new PeerwireError(code, 'No.') })])[1]?.fix ?? '';
    assert.match(fixOf('revoked'), /creator/);
    assert.match(fixOf('expired'), /new invite/);
  });
});
