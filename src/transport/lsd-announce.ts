/** Datagrams of Local Service Discovery (BEP 14). Whoever is on the LAN can send them, and read ours. */

/** Where everyone listens (BEP 14), by IP family. */
export const LSD_PORT = 6771;
export const LSD_GROUPS = { 4: '239.192.152.143', 6: 'ff15::efc0:988f' } as const;

/** Bytes of a datagram, at most (BEP 14), so that none is fragmented; infohashes in it that fit, our other headers counted. */
export const MAX_DATAGRAM = 1400;
export const MAX_INFO_HASHES = 24;
/** Characters of a cookie that we take for one. */
const MAX_COOKIE = 64;
const MAX_LINES = 64;

const REQUEST_LINE = 'BT-SEARCH * HTTP/1.1';
const HEADER = /^([A-Za-z0-9-]{1,32}):[ \t]*([\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)?[ \t]*$/;

export interface LsdAnnounce {
  /** Where the sender can be dialled, at the datagram's source address. 0: nowhere, it wants to hear who is there (not in BEP 14). */
  readonly port: number;
  /** 20 bytes each, 1 to 24 of them. */
  readonly infoHashes: readonly Buffer[];
  /** What tells the sender's own datagrams from others'; visible ASCII. */
  readonly cookie?: string;
}

export function encodeLsdAnnounce({ port, infoHashes, cookie }: LsdAnnounce, family: 4 | 6): Buffer {
  if (infoHashes.length < 1 || infoHashes.length > MAX_INFO_HASHES) throw new RangeError('1 to 24 infohashes');
  const host = family === 4 ? LSD_GROUPS[4] : `[${LSD_GROUPS[6]}]`;
  const lines = [
    REQUEST_LINE,
    `Host: ${host}:${LSD_PORT}`,
    `Port: ${port}`,
    ...infoHashes.map((infoHash) => `Infohash: ${infoHash.toString('hex')}`),
    ...(cookie === undefined ? [] : [`cookie: ${cookie}`]),
  ];
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n\r\n`, 'latin1');
}

/**
 * Undefined for what is no announce. Header names in any case and order; unknown headers are ignored (BEP 14), and so is
 * what follows the empty line. Of infohashes those that are none are left out; a second port or cookie, or one that makes no
 * sense, spoils the whole.
 */
export function decodeLsdAnnounce(datagram: Uint8Array): LsdAnnounce | undefined {
  if (datagram.length > MAX_DATAGRAM) return undefined;
  const text = Buffer.from(datagram.buffer, datagram.byteOffset, datagram.byteLength).toString('latin1');
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const [first, ...lines] = text.slice(0, end).split('\r\n', MAX_LINES);
  if (first !== REQUEST_LINE) return undefined;
  let port: number | undefined;
  let cookie: string | undefined;
  const infoHashes = new Map<string, Buffer>();
  for (const line of lines) {
    const match = HEADER.exec(line);
    if (match === null) return undefined;
    const value = match[2] ?? '';
    switch (match[1]?.toLowerCase()) {
      case 'port':
        if (port !== undefined || !/^\d{1,5}$/.test(value) || Number(value) > 65535) return undefined;
        port = Number(value);
        break;
      case 'infohash':
        if (/^[0-9a-f]{40}$/i.test(value) && infoHashes.size < MAX_INFO_HASHES)
          infoHashes.set(value.toLowerCase(), Buffer.from(value, 'hex'));
        break;
      case 'cookie':
        if (cookie !== undefined || value.length > MAX_COOKIE) return undefined;
        cookie = value;
        break;
    }
  }
  if (port === undefined || infoHashes.size === 0) return undefined;
  return { port, infoHashes: [...infoHashes.values()], ...(cookie === undefined ? {} : { cookie }) };
}
