/** Environment variable with a `TransferSource` as JSON. */
export const SOURCE = 'PEERWIRE_TEST_SOURCE';

/** What the download inside the extension host fetches, and from where. */
export interface TransferSource {
  readonly invite: string;
  /** `host:port` of the peer that has it. */
  readonly address: string;
  readonly share: string;
  readonly bytes: number;
  /** Where to download to; absent: the system's temporary folder. */
  readonly folder?: string;
}
