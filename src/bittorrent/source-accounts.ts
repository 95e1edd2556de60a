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
  readonly #sources = new Map<string, { downloaded: number; uploaded: number }>();

  /** So many payload bytes from the source passed verification, which may be after the session that brought them ended. */
  credit(source: string, bytes: number): void {
    this.#of(source).downloaded += bytes;
  }

  /** Keeps what was sent in a session that ended. Once for each. */
  close({ source, uploaded }: PeerSession): void {
    this.#of(source).uploaded += uploaded.total;
  }

  /** `open`: the sessions that go on. `now` in ms. */
  list(open: Iterable<PeerSession>, now: number): SourceAccount[] {
    const rows = new Map<string, SourceAccount>();
    for (const [source, { downloaded, uploaded }] of this.#sources) {
      rows.set(source, { source, connected: false, downloaded, uploaded, downloadRate: 0, uploadRate: 0 });
    }
    for (const session of open) {
      const { source } = session;
      const row = rows.get(source);
      rows.set(source, {
        source,
        connected: true,
        downloaded: row?.downloaded ?? 0,
        uploaded: (row?.uploaded ?? 0) + session.uploaded.total,
        downloadRate: (row?.downloadRate ?? 0) + session.downloaded.rate(now),
        uploadRate: (row?.uploadRate ?? 0) + session.uploaded.rate(now),
      });
    }
    return [...rows.values()];
  }

  #of(source: string): { downloaded: number; uploaded: number } {
    const known = this.#sources.get(source);
    if (known) return known;
    const account = { downloaded: 0, uploaded: 0 };
    this.#sources.set(source, account);
    return account;
  }
}
