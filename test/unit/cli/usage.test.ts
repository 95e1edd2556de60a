import assert from 'node:assert/strict';
import { runCommandLine } from '../../../src/cli/run-command-line.ts';

interface Said {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command line that must not get as far as opening a home. */
async function run(...args: string[]): Promise<Said> {
  const said = { stdout: '', stderr: '' };
  const code = await runCommandLine(args, {
    stdout: { write: (text) => (said.stdout += text) },
    stderr: { write: (text) => (said.stderr += text) },
    env: {},
    signal: AbortSignal.abort(new Error('The home was opened.')),
    onStart: () => undefined,
    readInput: async () => ' \n',
    writeBytes: async () => true,
    confirm: undefined,
  });
  return { code, ...said };
}

describe('usage of the command line', () => {
  const wrong: [string, RegExp][] = [
    ['frobnicate', /unknown command 'frobnicate'/],
    ['shar', /unknown command 'shar' \(Did you mean .*share/],
    ['get', /missing required argument 'share'/],
    ['id x', /too many arguments/],
    ['id --bogus', /unknown option '--bogus'/],
    ['--bogus id', /unknown option '--bogus'/],
    ['id --home', /argument missing/],
    ['peers --wait long', /number of seconds/],
    ['shares --wait -1', /number of seconds/],
    ['diagnose --wait', /argument missing/],
    ['invite --expires never', /number and a unit/],
    ['run --listen here', /HOST:PORT/],
    ['run --upload-limit slow', /bytes per second/],
    ['run --download-limit=-1', /bytes per second/],
    ['get x --connect nowhere', /HOST:PORT/],
    ['get x --on-conflict panic', /skip, overwrite, keep-both/],
    ['get x --download-limit fast', /bytes per second/],
    ['get x --priority urgent', /high, normal, low/],
    ['network create', /missing required argument 'name'/],
    ['network join -', /no invite on standard input/],
    ['network revoke', /missing required argument 'device'/],
  ];
  for (const [line, reason] of wrong) {
    it(`ends with 2 and one line: peerwire ${line}`, async () => {
      const { code, stdout, stderr } = await run(...line.split(' '));
      assert.deepEqual([code, stdout], [2, '']);
      assert.match(stderr, /^peerwire: [^\n]+\n$/);
      assert.match(stderr, reason);
    });
  }

  for (const line of ['', 'network']) {
    it(`ends with 2 and shows help when nothing is asked: peerwire ${line}`, async () => {
      const { code, stdout, stderr } = await run(...line.split(' ').filter((word) => word !== ''));
      assert.deepEqual([code, stdout], [2, '']);
      assert.match(stderr, /^Usage: peerwire /);
    });
  }

  const COMMANDS = [
    'id',
    'network',
    'invite',
    'share',
    'unshare',
    'run',
    'peers',
    'shares',
    'get',
    'diagnose',
    'tracker',
  ];
  it('shows help and version when they are asked for', async () => {
    const main = await run('--help');
    assert.deepEqual([main.code, main.stderr], [0, '']);
    for (const command of COMMANDS) {
      assert.match(main.stdout, new RegExp(`^  ${command}\\b`, 'm'));
      const help = await run(command, '--help');
      assert.deepEqual([help.code, help.stderr], [0, ''], command);
      assert.match(help.stdout, new RegExp(`^Usage: peerwire ${command} `));
    }
    const version = await run('--version');
    assert.deepEqual([version.code, version.stderr], [0, '']);
    assert.match(version.stdout, /^\d+\.\d+\.\d+\n$/);
  });

  it('takes the options that all commands share before and after the command', async () => {
    for (const line of ['--home /nowhere --json id', 'id --json --home /nowhere', '--json id --home /nowhere']) {
      const { code, stderr } = await run(...line.split(' '));
      assert.deepEqual([code, stderr], [1, 'peerwire: The home was opened.\n'], line);
    }
  });
});
