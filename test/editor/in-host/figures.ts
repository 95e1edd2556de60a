const figures: Record<string, number> = {};

/** Keeps a figure for the report: benchmarks print it. */
export function recordFigure(name: string, value: number): void {
  figures[name] = value;
}

export function recordedFigures(): Readonly<Record<string, number>> {
  return figures;
}
