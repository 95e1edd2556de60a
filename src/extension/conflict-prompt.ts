import { formatBytes } from '../common/format-bytes.ts';
import type { DownloadPlan } from '../peer/api.ts';
import { type ConflictChoice, conflictsOf } from './conflicts.ts';

import { iconlessText } from './safe-text.ts';
import type { Translate } from './translate.ts';
import { vscode } from './vscode.ts';

interface ConflictItem extends vscode.QuickPickItem {
  readonly choice?: ConflictChoice | 'compare';
  readonly all?: boolean;
}

/** Asks about each file that exists and differs; undefined when the user turned back. `compare` opens both versions. */
export async function askConflicts(
  t: Translate,
  plan: DownloadPlan,
  compare: (path: string) => Promise<void>,
): Promise<Map<string, ConflictChoice> | undefined> {
  const conflicts = conflictsOf(plan);
  const choices = new Map<string, ConflictChoice>();
  for (const [index, path] of conflicts.entries()) {
    const left = conflicts.length - index;
    const answer = await askOne(t, plan, path, left, compare);
    if (answer === undefined) return undefined;
    if (!answer.all) choices.set(path, answer.choice);
    else {
      for (const other of conflicts.slice(index)) choices.set(other, answer.choice);
      break;
    }
  }
  return choices;
}

async function askOne(
  t: Translate,
  plan: DownloadPlan,
  path: string,
  left: number,
  compare: (path: string) => Promise<void>,
): Promise<{ choice: ConflictChoice; all: boolean } | undefined> {
  const size = plan.files.find((file) => file.path === path)?.size ?? 0;
  for (;;) {
    const picked: ConflictItem | undefined = await vscode.window.showQuickPick(conflictItems(t, left), {
      title: t('“{0}” exists and differs', iconlessText(path)),
      placeHolder: t('Theirs has {0}, by {1}', formatBytes(size), iconlessText(plan.share.ownerName)),
      ignoreFocusOut: true,
    });
    if (picked?.choice === undefined) return undefined;
    if (picked.choice !== 'compare') return { choice: picked.choice, all: picked.all ?? false };
    await compare(path);
  }
}

function conflictItems(t: Translate, left: number): ConflictItem[] {
  const items: ConflictItem[] = [
    { choice: 'mine', label: t('Keep Mine'), description: t('your file stays as it is') },
    { choice: 'theirs', label: t('Take Theirs'), description: t('replaces your file') },
    { choice: 'both', label: t('Keep Both'), description: t('theirs is saved under another name') },
    { choice: 'compare', label: t('Compare'), description: t('opens both side by side, then asks again') },
  ];
  if (left === 1) return items;
  return [
    ...items,
    { kind: vscode.QuickPickItemKind.Separator, label: t('Apply to all {0}', left) },
    { choice: 'mine', all: true, label: t('Keep Mine for All') },
    { choice: 'theirs', all: true, label: t('Take Theirs for All') },
    { choice: 'both', all: true, label: t('Keep Both for All') },
  ];
}
