/**
 * Where a download lands in the workspace. The owner's hint (`ShareInfo.path`) is a stranger's text: it may choose a
 * folder below the workspace, never one outside, and what it puts into hidden folders (`.vscode`, `.github`, `.git`…) is
 * confirmed like any other content that tools execute.
 */
import nodePath from 'node:path';
import type { DownloadPlan, ShareInfo } from '../peer/api.ts';

/** The folders between workspace and share, in order; none when there is no usable hint. */
export function landingFolders(share: Pick<ShareInfo, 'path'>): string[] {
  const parts = share.path?.split('/') ?? [];
  return parts.every(isPlainName) ? parts.slice(0, -1) : [];
}

/** A name that means itself on every system; the peer has checked more, this is the last look before joining paths. */
function isPlainName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !/[\\/:\p{Cc}]/u.test(name);
}

/** Absolute path of a planned file on this machine. */
export function plannedPath(plan: DownloadPlan, path: string): string {
  if (plan.share.kind !== 'folder') return plan.target;
  const own = nodePath.join(...path.split('/'));
  // The plan of a single file of a folder names that file as its target.
  const single = plan.files.length === 1 && (plan.target === own || plan.target.endsWith(nodePath.sep + own));
  return single ? plan.target : nodePath.join(plan.target, own);
}

/**
 * Files to confirm before placing, relative to `root`: those that the peer calls risky, and all that would land in a
 * hidden folder below `root`.
 */
export function riskyLandings(plan: DownloadPlan, root: string): string[] {
  const risky = new Set(plan.risky);
  return plan.files
    .filter((file) => file.state !== 'same')
    .map((file) => ({ file, landing: nodePath.relative(root, plannedPath(plan, file.path)).split(nodePath.sep) }))
    .filter(({ file, landing }) => risky.has(file.path) || landing.slice(0, -1).some(isHidden))
    .map(({ landing }) => landing.join('/'));
}

function isHidden(name: string): boolean {
  return name.startsWith('.') && name !== '..';
}
