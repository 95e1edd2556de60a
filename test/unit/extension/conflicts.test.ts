import assert from 'node:assert/strict';
import { type ConflictChoice, conflictsOf, downloadRequests } from '../../../src/extension/conflicts.ts';
import type { DownloadPlan } from '../../../src/peer/api.ts';
import { plan, SHARE } from './samples.ts';

const file = (path: string, state: 'missing' | 'same' | 'different') => ({ path, size: 1, state });

function requests(files: DownloadPlan['files'], choices: Record<string, ConflictChoice>, more = {}) {
  return downloadRequests({
    plan: plan(files),
    destination: '/work',
    choices: new Map(Object.entries(choices)),
    allowRisky: false,
    ...more,
  });
}

const base = { share: SHARE, destination: '/work' };

describe('conflicts', () => {
  it('names what differs', () => {
    assert.deepEqual(conflictsOf(plan([file('a', 'same'), file('b', 'different'), file('c', 'missing')])), ['b']);
  });

  it('fails rather than overwrites when nothing was in the way: the user decides about what appears meanwhile', () => {
    assert.deepEqual(requests([file('a', 'missing')], {}), [{ ...base, onConflict: 'fail' }]);
  });

  it('makes one request when all choices are the same', () => {
    const files = [file('a', 'different'), file('b', 'different'), file('c', 'missing')];
    assert.deepEqual(requests(files, { a: 'theirs', b: 'theirs' }), [{ ...base, onConflict: 'overwrite' }]);
    assert.deepEqual(requests(files, { a: 'both', b: 'both' }), [{ ...base, onConflict: 'keep-both' }]);
    assert.deepEqual(requests(files, { a: 'mine', b: 'mine' }), [{ ...base, onConflict: 'skip' }]);
  });

  it('makes none when the user keeps everything that there is', () => {
    assert.deepEqual(requests([file('a', 'different'), file('b', 'same')], { a: 'mine' }), []);
  });

  it('fetches chosen files by themselves when choices are mixed, and touches no other', () => {
    const files = [file('a', 'different'), file('b', 'different'), file('c', 'different'), file('d', 'missing')];
    assert.deepEqual(requests(files, { a: 'mine', b: 'theirs', c: 'both' }), [
      { ...base, onConflict: 'skip' },
      { ...base, onConflict: 'overwrite', file: 'b' },
      { ...base, onConflict: 'keep-both', file: 'c' },
    ]);
    assert.deepEqual(requests(files.slice(0, 2), { a: 'mine', b: 'theirs' }), [
      { ...base, onConflict: 'overwrite', file: 'b' },
    ]);
  });

  it('keeps what nobody decided about', () => {
    const files = [file('a', 'different'), file('b', 'different')];
    assert.deepEqual(requests(files, { b: 'theirs' }), [{ ...base, onConflict: 'overwrite', file: 'b' }]);
  });

  it('passes on the single file and what was confirmed', () => {
    assert.deepEqual(requests([file('a', 'different')], { a: 'theirs' }, { file: 'a', allowRisky: true }), [
      { ...base, onConflict: 'overwrite', file: 'a', allowRisky: true },
    ]);
  });
});
