import assert from 'node:assert/strict';
import type { NetworkInfo } from '../../../src/peer/api.ts';
import { diagnose } from '../../../src/peer/diagnose.ts';
import { NETWORK } from './network/support.ts';

function network(fields: Partial<NetworkInfo>): NetworkInfo {
  return {
    network: NETWORK,
    name: 'team',
    trackers: ['http://tracker.example/announce'],
    creator: false,
    state: 'connected',
    peers: 2,
    ...fields,
  };
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

  const troubles: [string, number | undefined, NetworkInfo[], string[]][] = [
    ['no port', undefined, [network({})], ['listening']],
    ['no network', 6881, [], ['network']],
    ['no tracker', 6881, [network({ trackers: [] })], ['tracker of team']],
    [
      'a tracker that does not answer, and nobody there',
      6881,
      [network({ state: 'offline', peers: 0, problem: 'No tracker answers.' }), network({ name: 'other' })],
      ['tracker of team', 'peers of team'],
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

  it('says why no tracker answers', () => {
    const lines = diagnose(6881, [network({ problem: 'No tracker answers.' })]);
    assert.equal(lines.find(({ check }) => check === 'tracker of team')?.detail, 'No tracker answers.');
  });
});
