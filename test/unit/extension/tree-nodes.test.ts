import assert from 'node:assert/strict';
import { rowsOf, type TreeNode } from '../../../src/extension/tree-nodes.ts';
import { share } from './samples.ts';

describe('rows that a command is called on', () => {
  const one: TreeNode = { kind: 'share', share: share({ name: 'one' }) };
  const two: TreeNode = { kind: 'share', share: share({ name: 'two' }) };
  const transfer: TreeNode = { kind: 'transfer', id: 't' };

  it('are the clicked one, or the selection that it is in', () => {
    assert.deepEqual(rowsOf([one], 'share'), [one]);
    assert.deepEqual(rowsOf([one, undefined], 'share'), [one]);
    assert.deepEqual(rowsOf([one, [one, two]], 'share'), [one, two]);
  });

  it('are those of the right kind only', () => {
    assert.deepEqual(rowsOf([one, [one, transfer]], 'share', 'file'), [one]);
    for (const args of [[], [undefined], [null], ['x'], [{ kind: 'toString' }], [{ path: '/x' }]]) {
      assert.deepEqual(rowsOf(args, 'share'), []);
    }
  });
});
