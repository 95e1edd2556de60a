import assert from 'node:assert/strict';
import type { FilesPlan } from '../../../../src/peer/files/plan.ts';
import { RecentPlan } from '../../../../src/peer/files/recent-plan.ts';
import { VirtualClock } from '../../../sim/virtual-clock.ts';
import { versionOf } from './version.ts';

describe('RecentPlan', () => {
  const info = versionOf('proj', { a: 'a', b: 'b' });
  const subject = { info, destination: '/dest', file: undefined };
  const plan: FilesPlan = {
    target: '/dest/proj',
    files: [],
    missing: 0,
    same: 0,
    different: 0,
    fetchSize: 0,
    risky: [],
  };

  it('gives the plan of exactly this, once', () => {
    const recent = new RecentPlan(new VirtualClock());
    recent.put(subject, plan);
    const same = versionOf('proj', { a: 'a', b: 'b' });
    assert.equal(recent.take({ ...subject, info: same }), undefined);
    assert.equal(recent.take({ ...subject, destination: '/other' }), undefined);
    assert.equal(recent.take({ ...subject, file: 'a' }), undefined);
    assert.equal(recent.take(subject), plan);
    assert.equal(recent.take(subject), undefined);
  });

  it('keeps the last one, for a moment', async () => {
    const clock = new VirtualClock();
    const recent = new RecentPlan(clock);
    const other = { ...subject, file: 'a' };
    recent.put(other, plan);
    recent.put(subject, plan);
    assert.equal(recent.take(other), undefined);
    await clock.run(() => false, 400);
    assert.equal(recent.take(subject), plan);
    recent.put(subject, plan);
    await clock.run(() => false, 600);
    assert.equal(recent.take(subject), undefined);
    assert.equal(clock.pending, 0);
  });
});
