import type { PeerwireError } from '../common/errors.ts';
import type { DiagnosisLine } from './api.ts';
import type { TrackerStatus } from './network/tracker-announcer.ts';

/** How one network fares. */
export interface NetworkDiagnosis {
  readonly name: string;
  /** Connected devices. */
  readonly peers: number;
  /** That this device is not welcome. */
  readonly refusal: PeerwireError | undefined;
  readonly trackers: readonly TrackerStatus[];
}

/** What works and what does not of reaching others, with a remedy each. `port`: where we accept connections, if anywhere. */
export function diagnose(port: number | undefined, networks: readonly NetworkDiagnosis[]): DiagnosisLine[] {
  const lines: DiagnosisLine[] = [
    port === undefined
      ? {
          check: 'listening',
          ok: false,
          detail: 'This peer accepts no incoming connections.',
          fix: 'Allow incoming connections in the settings, so that peers behind firewalls can reach you.',
        }
      : { check: 'listening', ok: true, detail: `Port ${port} accepts connections.` },
  ];
  if (networks.length === 0) {
    lines.push({
      check: 'network',
      ok: false,
      detail: 'You are in no network.',
      fix: 'Create a network, or join one with an invite.',
    });
  }
  for (const { name, peers, refusal, trackers } of networks) {
    if (refusal) {
      // Neither a tracker nor other peers would help.
      lines.push({ check: `membership of ${name}`, ok: false, detail: refusal.message, fix: remedyOf(refusal) });
      continue;
    }
    lines.push({ check: `tracker of ${name}`, ...diagnoseTrackers(trackers) });
    lines.push(
      peers > 0
        ? { check: `peers of ${name}`, ok: true, detail: `${peers} connected.` }
        : {
            check: `peers of ${name}`,
            ok: false,
            detail: 'Nobody is connected.',
            fix: 'Ask a member to open their editor, or add a peer by its address (host:port).',
          },
    );
  }
  return lines;
}

function remedyOf({ code }: PeerwireError): string {
  return code === 'revoked'
    ? 'Leave the network. If it was a mistake, ask its creator for an invite for another device identity: this one cannot come back.'
    : 'Ask a member for a new invite, and join the network with it.';
}

function diagnoseTrackers(trackers: readonly TrackerStatus[]): Omit<DiagnosisLine, 'check'> {
  const answered = trackers.filter(({ ok }) => ok === true);
  if (answered.length > 0) return { ok: true, detail: `Announced at ${answered.map(({ url }) => url).join(', ')}.` };
  if (trackers.length === 0) {
    const fix = 'Add a tracker to the network, or add a peer by its address.';
    return { ok: false, detail: 'This network has no tracker.', fix };
  }
  const failed = trackers.find(({ ok }) => ok === false);
  if (!failed) return { ok: false, detail: 'No tracker has answered yet.', fix: 'Look again in a moment.' };
  const fix = 'Check that the tracker runs and that this machine reaches its address.';
  return { ok: false, detail: failed.problem ?? 'No tracker answers.', fix };
}
