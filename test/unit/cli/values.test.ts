import assert from 'node:assert/strict';
import { collectAddress, parseDuration, parseListen, parseRate, parseSeconds } from '../../../src/cli/values.ts';

describe('option values', () => {
  const durations: [string, number | undefined][] = [
    ['45s', 45_000],
    ['30m', 1_800_000],
    ['12h', 43_200_000],
    ['7d', 604_800_000],
    ['2w', 1_209_600_000],
    ['1.5h', 5_400_000],
    [' 7 D ', 604_800_000],
    ['7', undefined],
    ['0d', undefined],
    ['-1d', undefined],
    ['d', undefined],
    ['7days', undefined],
    ['999999d', undefined],
  ];
  for (const [text, expected] of durations) {
    it(`duration ${JSON.stringify(text)} is ${expected ?? 'refused'}`, () => check(parseDuration, text, expected));
  }

  const rates: [string, number | undefined][] = [
    ['0', 0],
    ['500000', 500_000],
    ['500K', 500_000],
    ['2MB/s', 2_000_000],
    ['1.5MiB', 1_572_864],
    ['1gi', 1_073_741_824],
    ['64kb', 64_000],
    ['fast', undefined],
    ['', undefined],
    ['-1', undefined],
    ['1e9', undefined],
    ['9'.repeat(30), undefined],
  ];
  for (const [text, expected] of rates) {
    it(`rate ${JSON.stringify(text)} is ${expected ?? 'refused'}`, () => check(parseRate, text, expected));
  }

  const seconds: [string, number | undefined][] = [
    ['0', 0],
    ['30', 30_000],
    ['0.25', 250],
    ['-1', undefined],
    ['soon', undefined],
    ['1e3', undefined],
    ['99999999', undefined],
  ];
  for (const [text, expected] of seconds) {
    it(`seconds ${JSON.stringify(text)} are ${expected ?? 'refused'}`, () => check(parseSeconds, text, expected));
  }

  const listens: [string, ReturnType<typeof parseListen> | undefined][] = [
    ['none', 'none'],
    ['127.0.0.1:0', { host: '127.0.0.1', port: 0 }],
    ['[::1]:6881', { host: '::1', port: 6881 }],
    ['host.example:65535', { host: 'host.example', port: 65_535 }],
    ['127.0.0.1', undefined],
    ['127.0.0.1:65536', undefined],
    ['::1:80', undefined],
    [':80', undefined],
    ['a b:80', undefined],
  ];
  for (const [text, expected] of listens) {
    it(`listen ${JSON.stringify(text)} is ${JSON.stringify(expected) ?? 'refused'}`, () =>
      check(parseListen, text, expected));
  }

  it('collects addresses of peers, which need a port', () => {
    assert.deepEqual(collectAddress('b:2', collectAddress('a:1')), ['a:1', 'b:2']);
    assert.throws(() => collectAddress('a:0'), /HOST:PORT/);
  });
});

function check<T>(parse: (text: string) => T, text: string, expected: T | undefined): void {
  if (expected === undefined) assert.throws(() => parse(text), /Expected/);
  else assert.deepEqual(parse(text), expected);
}
