/** Sentences about what would go out or come in. */
import { formatBytes } from '../common/format-bytes.ts';
import type { ScanSummary } from '../peer/api.ts';
import { countFiles, formatCount } from './format.ts';
import { safeText } from './safe-text.ts';
import type { Translate } from './translate.ts';

/** “214 files, 3.1 MB; 1,902 ignored by .gitignore; 2 look like secrets and are left out” */
export function describeScan(t: Translate, scan: ScanSummary, secretsIncluded = false): string {
  const secrets = scan.secrets.length;
  const parts = [t('{0}, {1}', countFiles(t, scan.files), formatBytes(scan.size))];
  if (scan.ignored > 0) parts.push(t('{0} ignored by .gitignore', formatCount(scan.ignored)));
  if (secrets > 0 && secretsIncluded) {
    parts.push(
      secrets === 1 ? t('1 looks like a secret and is included') : t('{0} look like secrets and are included', secrets),
    );
  } else if (secrets > 0) {
    parts.push(
      secrets === 1 ? t('1 looks like a secret and is left out') : t('{0} look like secrets and are left out', secrets),
    );
  }
  if (scan.skipped.length > 0) parts.push(t('{0} cannot be shared', formatCount(scan.skipped.length)));
  return parts.join('; ');
}

/** One path a line, the rest counted. */
export function listPaths(t: Translate, paths: readonly string[], most = 10): string {
  const lines = paths.slice(0, most).map((path) => `• ${safeText(path)}`);
  if (paths.length > most) lines.push(t('… and {0} more', formatCount(paths.length - most)));
  return lines.join('\n');
}
