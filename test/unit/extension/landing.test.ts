import assert from 'node:assert/strict';
import nodePath from 'node:path';
import { landingFolders, plannedPath, riskyLandings } from '../../../src/extension/landing.ts';
import { isWithin, topmost } from '../../../src/extension/paths.ts';
import { plan, share } from './samples.ts';

const missing = (path: string) => ({ path, size: 1, state: 'missing' as const });
const abs = (...parts: string[]): string => nodePath.resolve('/', ...parts);

describe('landing', () => {
  it('follows the hint of where a share lay', () => {
    assert.deepEqual(landingFolders({ path: 'src/util/a.ts' }), ['src', 'util']);
    assert.deepEqual(landingFolders({ path: 'a.ts' }), []);
    assert.deepEqual(landingFolders({}), []);
  });

  it('ignores a hint that is no plain path below the workspace', () => {
    for (const path of ['../a', 'x/../../a', '/etc/passwd', 'C:/x/a', 'a\\b/c', 'a//b', './a', 'x/\u0000/a', '']) {
      assert.deepEqual(landingFolders({ path }), [], path);
    }
  });

  it('knows where each file will be', () => {
    const folder = plan([missing('guide/a.md'), missing('b.md')], { target: abs('work/docs') });
    assert.equal(plannedPath(folder, 'guide/a.md'), abs('work/docs/guide/a.md'));
    const one = plan([missing('guide/a.md')], { target: abs('work/docs/guide/a.md') });
    assert.equal(plannedPath(one, 'guide/a.md'), abs('work/docs/guide/a.md'));
    const file = plan([missing('a.md')], { target: abs('work/a.md'), share: share({ name: 'a.md' }) });
    assert.equal(plannedPath(file, 'a.md'), abs('work/a.md'));
  });

  it('asks about files that tools execute, and about all in hidden folders that the hint leads to', () => {
    const risky = plan([missing('.envrc'), missing('b.md')], { target: abs('work/docs'), risky: ['.envrc'] });
    assert.deepEqual(riskyLandings(risky, abs('work')), ['docs/.envrc']);
    const hinted = plan([missing('tasks.json')], { target: abs('work/.vscode/tasks.json'), share: share() });
    assert.deepEqual(riskyLandings(hinted, abs('work')), ['.vscode/tasks.json']);
    const named = plan([missing('hook')], {
      target: abs('work/.husky'),
      share: share({ kind: 'folder', name: '.husky' }),
    });
    assert.deepEqual(riskyLandings(named, abs('work')), ['.husky/hook']);
  });

  it('asks nothing about plain files, nor about what is there already', () => {
    const same = { path: '.vscode/tasks.json', size: 1, state: 'same' as const };
    assert.deepEqual(riskyLandings(plan([missing('a.md'), same], { target: abs('work/docs') }), abs('work')), []);
  });
});

describe('paths', () => {
  it('knows a folder from its neighbours', () => {
    assert.equal(isWithin(abs('work'), abs('work')), true);
    assert.equal(isWithin(abs('work'), abs('work/a')), true);
    assert.equal(isWithin(abs('work'), abs('work/..a')), true);
    assert.equal(isWithin(abs('work'), abs('workspace')), false);
    assert.equal(isWithin(abs('work/a'), abs('work')), false);
  });

  it('leaves out what lies in another selected folder', () => {
    const paths = ['work/a', 'work/a/b', 'work/ab', 'work/a'].map((path) => abs(path));
    assert.deepEqual(topmost(paths), [abs('work/a'), abs('work/ab')]);
  });
});
