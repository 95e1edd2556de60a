import type { PeerSession } from './peer-session.ts';

/** What was exchanged with one source in a swarm, over all its sessions. */
export interface SourceAccount {
  readonly source: string;
  readonly connected: boolean;
  /** Verified payload bytes got from it. */
  readonly downloaded: number;
  /** Payload bytes sent to it. */
  readonly uploaded: number;
  /** Bytes per second now. */
  readonly downloadRate: number;
  readonly uploadRate: number;
}

/** What was exchanged with each source: in sessions that ended, and in those that go on. */
export class SourceAccounts {
  readonly #ended = new Map<string, { downloaded: number; uploaded: number }>();

  /** Keeps the figures of a session that ended. Once for each. */
  close({ source, verifiedBytes, uploaded }: PeerSession): void {
    const account = this.#ended.get(source) ?? { downloaded: 0, uploaded: 0 };
    account.downloaded += verifiedBytes;
    account.uploaded += uploaded.total;
    this.#ended.set(source, account);
  }

  /** `open`: the sessions that go on. `now` in ms. */
  list(open: Iterable<PeerSession>, now: number): SourceAccount[] {
    const rows = new Map<string, SourceAccount>();
    for (const [source, { downloaded, uploaded }] of this.#ended) {
      rows.set(source, { source, connected: false, downloaded, uploaded, downloadRate: 0, uploadRate: 0 });
    }
    for (const session of open) {
      const { source } = session;
      const row = rows.get(source);
      rows.set(source, {
        source,
        connected: true,
        downloaded: (row?.downloaded ?? 0) + session.verifiedBytes,
        uploaded: (row?.uploaded ?? 0) + session.uploaded.total,
        downloadRate: (row?.downloadRate ?? 0) + session.downloaded.rate(now),
        uploadRate: (row?.uploadRate ?? 0) + session.uploaded.rate(now),
      });
    }
    return [...rows.values()];
  }
}
