/**
 * `npm test`: checks, package, every suite; or only the suites named as arguments. Prints a table and, as its last line,
 * `N passed, N failed, N skipped`. A check that fails, a suite that crashes and a required suite that ran nothing count as
 * one failure each.
 */
import { globSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { endGroup, spawnGroup } from '../test/editor/host/child.ts';
import { RESULT_FILE, type SuiteResult } from './suite-reporter.ts';

interface Outcome {
  readonly name: string;
  readonly seconds: number;
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly notes: readonly string[];
}

const MINUTE = 60_000;
const CHECKS = {
  typecheck: ['node_modules/typescript/bin/tsc', '--noEmit'],
  lint: ['node_modules/@biomejs/biome/bin/biome', 'check', '--error-on-warnings'],
  package: ['scripts/package.ts'],
};
interface Suite {
  /** Milliseconds that it may take: far more than it needs, so that only a hang meets it. */
  readonly limit: number;
  readonly files: string;
  /** Of those, the ones that belong to another suite. */
  readonly except?: string;
  /** Runs beside those before and behind it, up to the first that needs the machine for itself: it has a clock of its own, or mostly waits. */
  readonly beside?: true;
  /** Its times must be those of a machine that does nothing else. */
  readonly alone?: true;
}

const HOSTS = 'test/integration/netns-*.test.ts';
const SUITES: Readonly<Record<string, Suite>> = {
  sim: { limit: 12 * MINUTE, files: 'test/sim/**/*.test.ts', beside: true },
  hosts: { limit: 12 * MINUTE, files: HOSTS, beside: true },
  unit: { limit: 12 * MINUTE, files: 'test/unit/**/*.test.ts' },
  fuzz: { limit: 12 * MINUTE, files: 'test/fuzz/**/*.test.ts' },
  integration: { limit: 15 * MINUTE, files: 'test/integration/**/*.test.ts', except: HOSTS },
  interop: { limit: 12 * MINUTE, files: 'test/interop/**/*.test.ts', alone: true },
  editor: { limit: 15 * MINUTE, files: 'test/editor/**/*.test.ts', alone: true },
};
/** Time for a suite's process to end by itself after its last test. */
const LINGER = 10_000;
const OUTPUT = '.test-output/suites';

const chosen = process.argv.slice(2);
const unknown = chosen.filter((name) => !(name in SUITES));
if (unknown.length > 0) {
  console.error(`No such suite: ${unknown.join(', ')}. There are ${Object.keys(SUITES).join(', ')}.`);
  process.exit(2);
}
rmSync(OUTPUT, { recursive: true, force: true });
mkdirSync(OUTPUT, { recursive: true });
const outcomes: Outcome[] = [];
for (const [name, command] of Object.entries(CHECKS))
  if (chosen.length === 0 || (name === 'package' && chosen.some(needsPackage)))
    outcomes.push(await check(name, command));
await runSuites();
report();

/** Two at a time at most: those beside the others take turns. What they print comes when they have ended. */
async function runSuites(): Promise<void> {
  let beside = Promise.resolve();
  for (const [name, entry] of Object.entries(SUITES)) {
    if (chosen.length > 0 && !chosen.includes(name)) continue;
    if (entry.beside) {
      beside = beside.then(async () => void outcomes.push(await suite(name, entry)));
      continue;
    }
    if (entry.alone) await beside;
    outcomes.push(await suite(name, entry));
  }
  await beside;
}

/** These run what is built, not the sources. */
function needsPackage(suite: string): boolean {
  return ['integration', 'hosts', 'interop', 'editor'].includes(suite);
}

async function check(name: string, command: readonly string[]): Promise<Outcome> {
  heading(name);
  const started = performance.now();
  const end = await runProcess(command, { limit: 5 * MINUTE });
  return { ...emptyOutcome(name, started), failed: end.ok ? 0 : 1, notes: end.ok ? [] : [end.reason] };
}

async function suite(name: string, { limit, files: spec, except, beside }: Suite): Promise<Outcome> {
  if (!beside) heading(name);
  const started = performance.now();
  const files = globSync(spec, except === undefined ? {} : { exclude: [except] });
  const required = name === 'editor' || (name === 'interop' && process.env.CI !== undefined);
  if (files.length === 0)
    return { ...emptyOutcome(name, started), failed: required ? 1 : 0, notes: ['has no tests here'] };

  const resultFile = path.resolve(OUTPUT, `${name}.json`);
  const mocha = ['node_modules/mocha/bin/mocha.js', '--reporter', './scripts/suite-reporter.ts', '--spec', spec];
  const output = beside ? path.resolve(OUTPUT, `${name}.log`) : undefined;
  const end = await runProcess([...mocha, ...(except === undefined ? [] : ['--ignore', except])], {
    limit,
    resultFile,
    ...(output === undefined ? {} : { output }),
  });
  if (output !== undefined) {
    heading(name);
    console.log(readFileSync(output, 'utf8'));
  }
  const result = readResult(resultFile);
  if (result === undefined)
    return { ...emptyOutcome(name, started), failed: 1, notes: [`did not finish: ${end.reason}`] };

  const notes = result.skippedTitles.map((title) => `skipped: ${title}`);
  let { failed } = result;
  // Mocha's own exit code is the number of failures; anything else went wrong outside the tests.
  if (!end.ok && failed === 0) {
    failed++;
    notes.push(end.reason);
  }
  if (required && result.passed + result.failed === 0) {
    failed++;
    notes.push('is required here, but ran no test');
  }
  return { ...emptyOutcome(name, started), passed: result.passed, failed, skipped: result.skipped, notes };
}

function emptyOutcome(name: string, started: number): Outcome {
  return { name, seconds: (performance.now() - started) / 1000, passed: 0, failed: 0, skipped: 0, notes: [] };
}

/** Runs a script of ours to its end, or ends it with all its children when it hangs. */
function runProcess(
  command: readonly string[],
  options: { limit: number; resultFile?: string /** A file for what it prints. */; output?: string },
): Promise<{ ok: boolean; reason: string }> {
  return new Promise((resolve) => {
    const output = options.output === undefined ? 'inherit' : openSync(options.output, 'w');
    const child = spawnGroup(process.execPath, command, {
      stdio: ['ignore', output, output],
      env: { ...process.env, ...(options.resultFile ? { [RESULT_FILE]: options.resultFile } : {}) },
    });
    let cut = '';
    const stop = (reason: string): void => {
      cut = reason;
      void endGroup(child);
    };
    const limit = setTimeout(() => stop(`took more than ${options.limit / MINUTE} minutes`), options.limit);
    let lingering: NodeJS.Timeout | undefined;
    const watch = setInterval(() => {
      if (lingering !== undefined || options.resultFile === undefined || readResult(options.resultFile) === undefined)
        return;
      lingering = setTimeout(() => stop('left something open: its process did not end after the last test'), LINGER);
    }, 500);
    const interrupted = (): void => {
      void endGroup(child).then(() => process.exit(130));
    };
    process.once('SIGINT', interrupted);
    process.once('SIGTERM', interrupted);
    child.once('close', (code, signal) => {
      clearTimeout(limit);
      clearTimeout(lingering);
      clearInterval(watch);
      process.off('SIGINT', interrupted);
      process.off('SIGTERM', interrupted);
      resolve({ ok: cut === '' && code === 0, reason: cut || `ended with ${signal ?? `exit code ${code}`}` });
    });
  });
}

function readResult(file: string): SuiteResult | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as SuiteResult;
  } catch {
    return undefined;
  }
}

function heading(name: string): void {
  console.log(`\n── ${name} ${'─'.repeat(Math.max(0, 60 - name.length))}`);
}

function report(): void {
  heading('summary');
  const total = { passed: 0, failed: 0, skipped: 0 };
  console.log(
    `${'suite'.padEnd(12)} ${'passed'.padStart(7)} ${'failed'.padStart(7)} ${'skipped'.padStart(7)} ${'seconds'.padStart(8)}`,
  );
  for (const { name, seconds, passed, failed, skipped, notes } of outcomes) {
    const counts = name in CHECKS ? [failed ? 'FAILED' : 'ok', '', ''] : [passed, failed, skipped];
    console.log(
      `${name.padEnd(12)} ${counts.map((count) => String(count).padStart(7)).join(' ')} ${seconds.toFixed(1).padStart(8)}`,
    );
    for (const note of notes) console.log(`  ${note}`);
    total.passed += passed;
    total.failed += failed;
    total.skipped += skipped;
  }
  console.log(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
  process.exitCode = total.failed > 0 ? 1 : 0;
}
