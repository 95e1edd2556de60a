/** From what the user decided about files that exist and differ, to the downloads that do it. */
import type { ConflictPolicy, DownloadPlan, DownloadRequest } from '../peer/api.ts';

export type ConflictChoice = 'mine' | 'theirs' | 'both';

const POLICY: Record<ConflictChoice, ConflictPolicy> = { mine: 'skip', theirs: 'overwrite', both: 'keep-both' };

export interface ChosenDownload {
  readonly plan: DownloadPlan;
  readonly destination: string;
  /** Only this file of a folder share. */
  readonly file?: string;
  /** One choice for every file that differs, by its path in the plan. */
  readonly choices: ReadonlyMap<string, ConflictChoice>;
  readonly allowRisky: boolean;
}

/** Paths in the plan that exist and differ. */
export function conflictsOf(plan: DownloadPlan): string[] {
  return plan.files.filter((file) => file.state === 'different').map((file) => file.path);
}

/**
 * The requests to make, in order; none when nothing is left to fetch. Without conflicts the policy is to fail, so that a
 * file that appears in the meantime is asked about too. A download has one policy: mixed choices leave all differing
 * files alone in the first request and fetch the chosen ones by themselves.
 */
export function downloadRequests(chosen: ChosenDownload): DownloadRequest[] {
  const { plan } = chosen;
  const conflicts = conflictsOf(plan);
  const request = (onConflict: ConflictPolicy, file = chosen.file): DownloadRequest => ({
    share: plan.share.share,
    destination: chosen.destination,
    onConflict,
    ...(file === undefined ? {} : { file }),
    ...(chosen.allowRisky ? { allowRisky: true } : {}),
  });
  if (conflicts.length === 0) return [request('fail')];

  const choiceOf = (path: string): ConflictChoice => chosen.choices.get(path) ?? 'mine';
  const kinds = new Set(conflicts.map(choiceOf));
  const [only] = kinds;
  if (kinds.size === 1 && only !== undefined) {
    return only === 'mine' && plan.missing === 0 ? [] : [request(POLICY[only])];
  }
  const rest = plan.missing > 0 ? [request('skip')] : [];
  return [
    ...rest,
    ...conflicts.filter((path) => choiceOf(path) !== 'mine').map((path) => request(POLICY[choiceOf(path)], path)),
  ];
}
