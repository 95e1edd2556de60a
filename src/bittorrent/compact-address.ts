export interface PeerAddress {
  readonly host: string;
  readonly port: number;
}
const later = (): never => {
  throw new Error('not written yet');
};
/** 6 bytes (IPv4) or 18 (IPv6); undefined when the host is not an IP address or the port not 1–65535. */
export const encodeCompact: (address: PeerAddress) => Buffer | undefined = later;
/** A list of 6-byte (or 18-byte) entries; throws 'bad-encoding' when the length does not fit. */
export const decodeCompact: (bytes: Uint8Array, family: 4 | 6) => PeerAddress[] = later;
/** 4 or 16 bytes of a literal IP address; undefined for anything else. */
export const parseIp: (host: string) => Buffer | undefined = later;
export const formatIp: (bytes: Uint8Array) => string = later;
