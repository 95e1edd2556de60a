import assert from 'node:assert/strict';
import { english as t } from '../../../src/extension/translate.ts';
import { describeVerified } from '../../../src/extension/verified.ts';
import type { RecheckResult, TransferState } from '../../../src/peer/api.ts';
import { transfer } from './samples.ts';

describe('describeVerified', () => {
  const of = (state: TransferState, files: number, changed: RecheckResult['changed']): string =>
    describeVerified(t, transfer({ state }), { files, changed });

  it('says in one sentence what became of a finished download', () => {
    assert.equal(of('done', 1, []), '“report.pdf” is intact.');
    assert.equal(of('done', 214, []), 'All 214 files are intact.');
    assert.equal(of('done', 1, ['report.pdf']), '“report.pdf” changed since it was downloaded. It is not shared on.');
    assert.equal(of('done', 9, ['a']), '1 of 9 files changed since it was downloaded: a. It is not shared on.');
    assert.equal(
      of('done', 214, ['a', 'b', 'c/d']),
      '3 of 214 files changed since they were downloaded: a, b, c/d. They are not shared on.',
    );
    assert.equal(
      of('done', 214, ['a', 'b', 'c', 'd', 'e']),
      '5 of 214 files changed since they were downloaded: a, b, c and 2 more. They are not shared on.',
    );
    assert.equal(of('done', 0, []), 'There is nothing of “report.pdf” here to verify.');
  });

  it('says what is fetched again of one that is not finished', () => {
    assert.equal(of('paused', 3, []), 'Everything that arrived of “report.pdf” is intact.');
    assert.equal(of('failed', 3, ['a']), '1 of 3 files was damaged: a. What is missing is fetched again.');
    assert.equal(of('paused', 3, ['a', 'b']), '2 of 3 files were damaged: a, b. What is missing is fetched again.');
    assert.equal(of('paused', 1, ['a']), '“report.pdf” was damaged in part. What is missing is fetched again.');
  });
});
