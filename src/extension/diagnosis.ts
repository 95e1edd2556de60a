/** What *Diagnose Connection* shows and copies, in words; who draws it is `diagnose-view.ts`. */
import type { DiagnosisLine, NetworkInfo } from '../peer/api.ts';
import { safeText } from './safe-text.ts';
import { capitalize } from './transfer-model.ts';
import type { Translate } from './translate.ts';

/** Commands that mend what a check complains of. */
export type FixCommand =
  | 'peerwire.createNetwork'
  | 'peerwire.joinNetwork'
  | 'peerwire.manageTrackers'
  | 'peerwire.addPeer'
  | 'peerwire.invite'
  | 'peerwire.leaveNetwork';

/** Something to do about a line, in one click. */
export type Fix =
  | { readonly kind: 'command'; readonly command: FixCommand; readonly network?: NetworkInfo }
  | { readonly kind: 'setting'; readonly setting: string }
  /** For a terminal, as the peer spelled it. */
  | { readonly kind: 'copy'; readonly text: string };

/** Those that need attention first, otherwise as the peer told them. */
export function attentionFirst(lines: readonly DiagnosisLine[]): DiagnosisLine[] {
  return [...lines.filter(({ ok }) => !ok), ...lines.filter(({ ok }) => ok)];
}

/** Not an icon alone, but a word. */
export function verdict(t: Translate, line: DiagnosisLine): string {
  return line.ok ? t('works') : t('needs attention');
}

export function checkName(line: DiagnosisLine): string {
  return capitalize(safeText(line.check));
}

/** Begins the name of a check: what it is about. Everything behind “of” is the name of a network. */
const FIXES: readonly (readonly [RegExp, (network: NetworkInfo | undefined) => readonly Fix[]])[] = [
  [/^(port mapping|router)\b/i, () => [setting('portMapping')]],
  [/^listening\b/i, () => [setting('listen')]],
  // A router in between may be asked to let others in.
  [/^reachable\b/i, () => [setting('portMapping')]],
  [/^(local network|multicast)/i, () => [command('peerwire.addPeer')]],
  [/^network$/i, () => [command('peerwire.createNetwork'), command('peerwire.joinNetwork')]],
  [/^tracker/i, (network) => [...onlyAdmin(network, 'peerwire.manageTrackers'), command('peerwire.addPeer')]],
  [/^(peers|members)\b/i, (network) => [command('peerwire.addPeer'), command('peerwire.invite', network)]],
  [/^membership/i, (network) => [command('peerwire.joinNetwork'), command('peerwire.leaveNetwork', network)]],
];

/** What can be done at once about a line that needs attention: what its own fix spells out, then what its check is about. */
export function fixesFor(line: DiagnosisLine, networks: readonly NetworkInfo[]): Fix[] {
  if (line.ok) return [];
  const named = / of (.+)$/.exec(line.check)?.[1];
  const network = networks.find(({ name }) => name === named);
  const about = FIXES.find(([pattern]) => pattern.test(line.check))?.[1];
  const terminal: Fix[] = line.command === undefined ? [] : [{ kind: 'copy', text: line.command }];
  return [...terminal, ...(about?.(network) ?? [])];
}

/** Plain text for a chat or an issue: every line with its verdict in words. `facts`: where and when. */
export function diagnosisReport(t: Translate, lines: readonly DiagnosisLine[], facts: readonly string[]): string {
  const rows = attentionFirst(lines).map((line) => {
    const row = `${line.ok ? '✓' : '✗'} ${checkName(line)}: ${verdict(t, line)}. ${safeText(line.detail)}`;
    return line.fix === undefined ? row : `${row}\n  ${t('To do: {0}', safeText(line.fix))}`;
  });
  return `${[t('Peerwire: Diagnose Connection'), ...facts, '', ...rows].join('\n')}\n`;
}

function setting(name: string): Fix {
  return { kind: 'setting', setting: `peerwire.network.${name}` };
}

function command(id: FixCommand, network?: NetworkInfo): Fix {
  return { kind: 'command', command: id, ...(network === undefined ? {} : { network }) };
}

/** Trackers are for everyone, so only who administers the network may change them. */
function onlyAdmin(network: NetworkInfo | undefined, id: FixCommand): Fix[] {
  return network?.admin === true ? [command(id, network)] : [];
}
