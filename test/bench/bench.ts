/** What a file `test/bench/NAME.bench.ts` exports as `bench`. */
export interface Bench {
  /** One sentence: what is measured, beside what. */
  readonly about: string;
  run(options: BenchOptions): Promise<BenchReport>;
}

export interface BenchOptions {
  /** Each figure is the median of this many runs. */
  readonly runs: number;
  /** Divides sizes, to try a benchmark out quickly; 1 for figures that count. */
  readonly scale: number;
  /** Says on stderr what is going on. */
  progress(line: string): void;
}

export interface BenchReport {
  readonly rows: readonly BenchRow[];
  readonly targets?: readonly BenchTarget[];
}

export interface BenchRow {
  readonly name: string;
  /** By column title, unit included: `{ 'MB/s': 712 }`. */
  readonly figures: Readonly<Record<string, number>>;
}

/** A line of DESIGN §7: always a ratio or a difference within one run, so that it means the same on every machine. */
export interface BenchTarget {
  readonly what: string;
  readonly figure: number;
  readonly bound: { readonly atLeast: number } | { readonly atMost: number };
}

export function median(figures: readonly number[]): number {
  const sorted = [...figures].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle];
  const lower = sorted[middle - 1];
  if (upper === undefined) throw new Error('There is no median of nothing.');
  return sorted.length % 2 === 0 && lower !== undefined ? (lower + upper) / 2 : upper;
}

export function meets(target: BenchTarget): boolean {
  return 'atLeast' in target.bound ? target.figure >= target.bound.atLeast : target.figure <= target.bound.atMost;
}
