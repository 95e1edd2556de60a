import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { walk } from '../../../../src/peer/files/walk.ts';
import { useTempDir } from '../../temp-dir.ts';

/** Files to make (rule files with their text), and those that the walk of `root` must take. */
interface Case {
  readonly name: string;
  readonly root?: string;
  readonly rules: Readonly<Record<string, string>>;
  readonly files: readonly string[];
  readonly taken: readonly string[];
}

const CASES: readonly Case[] = [
  {
    name: 'a name at any depth',
    rules: { '.gitignore': '*.log\nbuild\n' },
    files: ['a.log', 'b/c.log', 'b/build/x', 'build/y', 'keep.txt', 'rebuild/z'],
    taken: ['keep.txt', 'rebuild/z'],
  },
  {
    name: 'a slash ties a pattern to its folder',
    rules: { '.gitignore': '/only\nsub/one\n' },
    files: ['only', 'deep/only', 'sub/one', 'deep/sub/one'],
    taken: ['deep/only', 'deep/sub/one'],
  },
  {
    name: 'a trailing slash means folders only',
    rules: { '.gitignore': 'out/\n' },
    files: ['out/x', 'sub/out'],
    taken: ['sub/out'],
  },
  {
    name: 'negation brings back a file but not from an ignored folder',
    rules: { '.gitignore': '*.env.txt\n!good.env.txt\nsecret/\n!secret/good.txt\n' },
    files: ['bad.env.txt', 'good.env.txt', 'secret/good.txt'],
    taken: ['good.env.txt'],
  },
  {
    name: 'nested rules win over those above, in both directions',
    rules: {
      '.gitignore': '*.dat\n',
      'a/.gitignore': '!*.dat\n',
      'a/b/.gitignore': '*.dat\n',
      'a/b/c/.gitignore': '!k.dat\n',
    },
    files: ['x.dat', 'a/x.dat', 'a/b/x.dat', 'a/b/c/x.dat', 'a/b/c/k.dat', 'a/d/x.dat'],
    taken: ['a/x.dat', 'a/b/c/k.dat', 'a/d/x.dat'],
  },
  {
    name: 'a folder that a nested rule brings back is walked in full',
    rules: { '.gitignore': 'build\n', 'a/.gitignore': '!build\n' },
    files: ['build/x', 'a/build/x', 'a/build/sub/y'],
    taken: ['a/build/x', 'a/build/sub/y'],
  },
  {
    name: 'nested patterns hold below their folder only, whatever characters it has',
    rules: { 'we[i]rd !dir/.gitignore': '/x\ny\nsub/z\n' },
    files: ['we[i]rd !dir/x', 'we[i]rd !dir/q/x', 'we[i]rd !dir/q/y', 'we[i]rd !dir/sub/z', 'weird !dir/x', 'x', 'y'],
    taken: ['we[i]rd !dir/q/x', 'weird !dir/x', 'x', 'y'],
  },
  {
    name: 'rules above the walked folder, up to the root of the repository',
    root: 'pkg/app',
    rules: {
      '.gitignore': '*.tmp\n/pkg/app/gen\n/other\n',
      'pkg/.gitignore': 'cache/\n',
      'pkg/app/.gitignore': 'own\n',
    },
    files: ['pkg/app/a.tmp', 'pkg/app/gen/x', 'pkg/app/other', 'pkg/app/cache/x', 'pkg/app/own', 'pkg/app/keep'],
    taken: ['keep', 'other'],
  },
  {
    name: '.git/info/exclude, weaker than .gitignore',
    rules: { '.git/info/exclude': '*.local\n*.mine\n', '.gitignore': '!kept.mine\n' },
    files: ['a.local', 'b/c.local', 'x.mine', 'kept.mine'],
    taken: ['kept.mine'],
  },
  {
    name: 'a folder that is itself ignored is shared when it is named',
    root: 'dist',
    rules: { '.gitignore': 'dist/\n', 'dist/.gitignore': '*.map\n' },
    files: ['dist/app.js', 'dist/app.js.map'],
    taken: ['app.js'],
  },
  {
    name: 'comments, blank lines, escapes and trailing spaces',
    rules: { '.gitignore': '# no\n\n\\#yes\n\\!bang\ntrail   \nend\\ \n' },
    files: ['# no', '#yes', '!bang', 'trail', 'no'],
    taken: ['# no', 'no'],
  },
  {
    name: 'double stars',
    rules: { '.gitignore': '**/gen\na/**/z\nlogs/**\n', 'n/.gitignore': '**/deep/x\n' },
    files: ['gen/x', 'q/gen/x', 'a/z', 'a/b/c/z', 'logs/x', 'logs/y/z', 'n/deep/x', 'n/a/deep/x', 'deep/x'],
    taken: ['deep/x'],
  },
];

describe('ignore rules', () => {
  const temp = useTempDir();

  for (const { name, root = '.', rules, files, taken } of CASES) {
    it(name, async () => {
      mkdirSync(join(temp.path, '.git/info'), { recursive: true });
      for (const [path, text] of Object.entries(rules)) temp.file(path, text);
      for (const path of files) temp.file(path);
      const result = await walk(join(temp.path, root), { includeSecrets: true });
      const found = result.files.map(({ path }) => path.join('/')).filter((path) => !path.endsWith('.gitignore'));
      assert.deepEqual(result.skipped, []);
      assert.deepEqual(found.sort(), [...taken].sort());
    });
  }

  it('in a worktree uses the exclude file of the repository', async () => {
    temp.file('main/.git/info/exclude', '*.local\n');
    temp.file('main/.git/worktrees/w/commondir', '../..\n');
    temp.file('w/.git', `gitdir: ${join(temp.path, 'main/.git/worktrees/w')}\n`);
    temp.file('w/a.local');
    temp.file('w/b');
    const { files, ignored } = await walk(join(temp.path, 'w'));
    assert.deepEqual(
      files.map(({ path }) => path.join('/')),
      ['b'],
    );
    assert.equal(ignored, 1);
  });

  it('counts an ignored folder once and never the repository itself', async () => {
    mkdirSync(join(temp.path, '.git'));
    temp.file('.git/config');
    temp.file('.gitignore', 'node_modules\n*.log\n');
    for (const path of ['node_modules/a', 'node_modules/b/c', 'x.log', 'kept']) temp.file(path);
    const result = await walk(temp.path);
    assert.equal(result.ignored, 2);
    assert.deepEqual(
      result.files.map(({ path }) => path.join('/')),
      ['.gitignore', 'kept'],
    );
  });

  it('does not read rules through a link', async () => {
    temp.file('outside', 'kept\n');
    temp.file('share/kept');
    symlinkSync(join(temp.path, 'outside'), join(temp.path, 'share/.gitignore'));
    const result = await walk(join(temp.path, 'share'));
    assert.deepEqual(
      result.files.map(({ path }) => path.join('/')),
      ['kept'],
    );
    assert.equal(result.skipped[0]?.path, '.gitignore');
  });

  it('leaves out what git leaves out, for random rules and trees', async function () {
    if (spawnSync('git', ['--version']).status !== 0) this.skip();
    const name = fc.constantFrom('a', 'b', 'c', 'ab', 'a.x', 'b.x');
    const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((names) => names.join('/'));
    const glob = fc.constantFrom('a', 'b', 'ab', '*.x', 'a*', '?', '[ab]', '**', 'a.x');
    const pattern = fc
      .tuple(fc.boolean(), fc.boolean(), fc.array(glob, { minLength: 1, maxLength: 3 }), fc.boolean())
      .map(([not, tied, parts, folder]) => `${not ? '!' : ''}${tied ? '/' : ''}${parts.join('/')}${folder ? '/' : ''}`);
    const rules = fc.array(fc.tuple(fc.array(name, { maxLength: 2 }), fc.array(pattern, { maxLength: 3 })), {
      maxLength: 4,
    });
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(path, { maxLength: 12 }), rules, async (paths, ruleFiles) => {
        const root = join(temp.path, `run-${run++}`);
        mkdirSync(root);
        execFileSync('git', ['init', '-q', root]);
        const put = (file: string, text: string): void => {
          try {
            mkdirSync(dirname(join(root, file)), { recursive: true });
            writeFileSync(join(root, file), text);
          } catch {
            // The random tree wants a file and a folder of the same name: the first has it.
          }
        };
        for (const file of paths) put(file, file);
        for (const [folder, patterns] of ruleFiles)
          put([...folder, '.gitignore'].join('/'), `${patterns.join('\n')}\n`);
        const listed = execFileSync('git', ['-c', 'core.excludesFile=', 'ls-files', '-z', '-o', '--exclude-standard'], {
          cwd: root,
        });
        const expected = listed.toString().split('\0').filter(Boolean).sort();
        const found = (await walk(root)).files.map((file) => file.path.join('/')).sort();
        assert.deepEqual(found, expected);
      }),
      { numRuns: 100 },
    );
  });
});
