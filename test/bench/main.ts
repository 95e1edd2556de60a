/**
 * `npm run bench -- NAME… [--json] [--runs N] [--scale N]`: runs benchmarks one after another, prints a table (or one JSON
 * object a line) and keeps the JSON under .test-output/bench. Builds first: what is measured is what ships.
 */
import { spawnSync } from 'node:child_process';
import { globSync, mkdirSync, writeFileSync } from 'node:fs';
import { cpus, platform, release } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { type Bench, type BenchReport, meets } from './bench.ts';

const OUTPUT = '.test-output/bench';

const files = globSync('*.bench.ts', { cwd: import.meta.dirname }).sort();
const names = files.map((file) => path.basename(file, '.bench.ts'));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'boolean', default: false },
    runs: { type: 'string', default: '3' },
    scale: { type: 'string', default: '1' },
  },
});
const runs = Number(values.runs);
const scale = Number(values.scale);
const wrong = positionals.filter((name) => !names.includes(name));
if (positionals.length === 0 || wrong.length > 0 || !(runs >= 1) || !(scale >= 1)) {
  for (const name of wrong) console.error(`There is no benchmark ${name}.`);
  console.error('npm run bench -- NAME… [--json] [--runs N] [--scale N]');
  for (const name of names) console.error(`  ${name.padEnd(14)} ${(await load(name)).about}`);
  process.exit(2);
}

const build = spawnSync(process.execPath, ['scripts/package.ts'], { stdio: ['ignore', 'ignore', 'inherit'] });
if (build.status !== 0) process.exit(1);
mkdirSync(OUTPUT, { recursive: true });
const machine = {
  cpu: cpus()[0]?.model ?? '',
  cores: cpus().length,
  os: `${platform()} ${release()}`,
  node: process.version,
};
for (const name of positionals) {
  const bench = await load(name);
  const report = await bench.run({ runs, scale, progress: (line) => console.error(`${name}: ${line}`) });
  const json = JSON.stringify({ bench: name, date: new Date().toISOString(), runs, scale, machine, ...report });
  writeFileSync(path.join(OUTPUT, `${name}.json`), `${json}\n`);
  if (values.json) console.log(json);
  else print(name, bench, report);
}

async function load(name: string): Promise<Bench> {
  const module = (await import(`./${name}.bench.ts`)) as { bench: Bench };
  return module.bench;
}

function print(name: string, bench: Bench, report: BenchReport): void {
  console.log(
    `\n${name}: ${bench.about} (${machine.cores} × ${machine.cpu}, Node ${machine.node}, median of ${runs})\n`,
  );
  const columns = [...new Set(report.rows.flatMap((row) => Object.keys(row.figures)))];
  const width = Math.max(...report.rows.map((row) => row.name.length));
  console.log(['', ...columns].map((title, column) => pad(title, column, width, columns)).join('  '));
  for (const row of report.rows) {
    const cells = columns.map((column) => formatFigure(row.figures[column]));
    console.log([row.name, ...cells].map((cell, column) => pad(cell, column, width, columns)).join('  '));
  }
  for (const target of report.targets ?? []) {
    const bound = 'atLeast' in target.bound ? `≥ ${target.bound.atLeast}` : `≤ ${target.bound.atMost}`;
    console.log(`${meets(target) ? 'met   ' : 'MISSED'} ${target.what}: ${formatFigure(target.figure)} (${bound})`);
  }
}

function pad(cell: string, column: number, first: number, columns: readonly string[]): string {
  return column === 0 ? cell.padEnd(first) : cell.padStart(Math.max(8, columns[column - 1]?.length ?? 0));
}

function formatFigure(figure: number | undefined): string {
  if (figure === undefined) return '–';
  return figure >= 100 ? figure.toFixed(0) : figure.toPrecision(3);
}
