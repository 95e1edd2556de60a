import type { DiagnosisLine, NetworkInfo } from './api.ts';

/** What works and what does not of reaching others, with a remedy each. `port`: where we accept connections, if anywhere. */
export function diagnose(port: number | undefined, networks: readonly NetworkInfo[]): DiagnosisLine[] {
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
  for (const info of networks) {
    const tracked = info.trackers.length > 0;
    lines.push({
      check: `tracker of ${info.name}`,
      ok: tracked && info.problem === undefined,
      detail: info.problem ?? (tracked ? `Announced at ${info.trackers.join(', ')}.` : 'This network has no tracker.'),
      ...(info.problem !== undefined
        ? { fix: 'Check that the tracker runs and that this machine reaches its address.' }
        : {}),
      ...(tracked ? {} : { fix: 'Add a tracker to the network, or add a peer by its address.' }),
    });
    lines.push(
      info.peers > 0
        ? { check: `peers of ${info.name}`, ok: true, detail: `${info.peers} connected.` }
        : {
            check: `peers of ${info.name}`,
            ok: false,
            detail: 'Nobody is connected.',
            fix: 'Ask a member to open their editor, or add a peer by its address (host:port).',
          },
    );
  }
  return lines;
}
