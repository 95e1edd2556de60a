import assert from 'node:assert/strict';
import { abortable } from '../../../src/common/abort.ts';
import { Operations } from '../../../src/peer/operations.ts';

const forever = (signal: AbortSignal): Promise<never> => abortable(signal, new Promise(() => {}));

describe('Operations', () => {
  it('are cancelled by name', async () => {
    const operations = new Operations();
    const other = operations.run('other', forever);
    const cancelled = assert.rejects(operations.run('copy', forever), { code: 'cancelled' });
    operations.cancel('copy');
    operations.cancel('none');
    await cancelled;
    const closed = assert.rejects(other, { code: 'closed' });
    operations.close();
    await closed;
  });

  it('are found by a name that one before had, which ended later than they began', async () => {
    const operations = new Operations();
    let end: (() => void) | undefined;
    const first = operations.run('copy', () => new Promise<void>((resolve) => (end = resolve)));
    const second = assert.rejects(operations.run('copy', forever), { code: 'cancelled' });
    end?.();
    await first;
    operations.cancel('copy');
    await second;
  });

  it('that are over are not cancelled any more, however they ended', async () => {
    const operations = new Operations();
    const signals: AbortSignal[] = [];
    const value = await operations.run('copy', async (signal) => {
      signals.push(signal);
      return 7;
    });
    const failing = operations.run('copy', async (signal) => {
      signals.push(signal);
      throw new Error('full');
    });
    await assert.rejects(failing, /full/);
    operations.cancel('copy');
    operations.close();
    assert.deepEqual([value, ...signals.map(({ aborted }) => aborted)], [7, false, false]);
  });
});
