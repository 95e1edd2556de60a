import assert from 'node:assert/strict';
import { searchShares } from '../../../src/extension/share-search.ts';
import { NOW, share } from './samples.ts';

describe('finding shares', () => {
  const named = (name: string, change: Parameters<typeof share>[0] = {}) => share({ name, ...change });
  const names = (text: string, shares: readonly ReturnType<typeof share>[], most = 100): string[] =>
    searchShares(shares, text, most).map(({ name }) => name);

  it('takes every word, in the name, the member or the message, whatever the case', () => {
    const shares = [
      named('Release Notes.md'),
      named('app.zip', { ownerName: 'Ada' }),
      named('x', { message: 'final NOTES' }),
    ];
    assert.deepEqual(names('notes', shares), ['Release Notes.md', 'x']);
    assert.deepEqual(names('zip ada', shares), ['app.zip']);
    assert.deepEqual(names('zip bob', shares), []);
    assert.equal(names('  ', shares).length, 3);
  });

  it('shows what fits best first, then the newest', () => {
    const shares = [
      named('old-app.zip', { time: NOW - 2 }),
      named('bigapp.zip'),
      named('letters', { ownerName: 'Apple' }),
      named('new-app.zip', { time: NOW - 1 }),
      named('app.zip', { time: NOW - 9 }),
      named('wrapped app'),
    ];
    assert.deepEqual(names('app', shares), [
      'app.zip',
      'wrapped app',
      'new-app.zip',
      'old-app.zip',
      'bigapp.zip',
      'letters',
    ]);
  });

  it('leaves out own shares, and what is too many', () => {
    assert.deepEqual(names('', [named('mine', { own: true }), named('a'), named('b'), named('c')], 2), ['a', 'b']);
  });

  it('takes text as it is', () => {
    assert.deepEqual(names('a.*(', [named('a.*(b'), named('axx(b')]), ['a.*(b']);
  });
});
