/** What verifying a download found, in one sentence. */
import type { RecheckResult, TransferInfo } from '../peer/api.ts';
import { formatCount } from './format.ts';
import { safeText } from './safe-text.ts';
import type { Translate } from './translate.ts';

/** So many files are named. */
const NAMED = 3;

export function describeVerified(
  t: Translate,
  { name, state }: Pick<TransferInfo, 'name' | 'state'>,
  { files, changed }: RecheckResult,
): string {
  const what = safeText(name);
  if (files === 0) return t('There is nothing of “{0}” here to verify.', what);
  const many = formatCount(files);
  const bad = formatCount(changed.length);
  if (state !== 'done') {
    if (changed.length === 0) return t('Everything that arrived of “{0}” is intact.', what);
    if (files === 1) return t('“{0}” was damaged in part. What is missing is fetched again.', what);
    return changed.length === 1
      ? t('1 of {0} files was damaged: {1}. What is missing is fetched again.', many, listed(t, changed))
      : t('{0} of {1} files were damaged: {2}. What is missing is fetched again.', bad, many, listed(t, changed));
  }
  if (changed.length === 0) return files === 1 ? t('“{0}” is intact.', what) : t('All {0} files are intact.', many);
  if (files === 1) return t('“{0}” changed since it was downloaded. It is not shared on.', what);
  return changed.length === 1
    ? t('1 of {0} files changed since it was downloaded: {1}. It is not shared on.', many, listed(t, changed))
    : t(
        '{0} of {1} files changed since they were downloaded: {2}. They are not shared on.',
        bad,
        many,
        listed(t, changed),
      );
}

function listed(t: Translate, paths: readonly string[]): string {
  const names = paths
    .slice(0, NAMED)
    .map((path) => safeText(path))
    .join(', ');
  return paths.length > NAMED ? t('{0} and {1} more', names, formatCount(paths.length - NAMED)) : names;
}
