import type { BValue } from '../../bittorrent/bencode.ts';
import type { BencodeReader } from '../../bittorrent/bencode-reader.ts';
import { PeerwireError } from '../../common/errors.ts';
import type { HoldEntry, ShareEntry } from './catalogue.ts';

/** Where the entries of one list stand in the body of a section. Entry i has the bytes from `starts[i]` to `ends[i]`. */
interface Places {
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
  /** Bencoded values in each. */
  readonly tokens: Uint32Array;
}

export interface EntryLayout extends Places {
  /** What was read at each place; undefined for what this version does not know. */
  readonly shares?: readonly (ShareEntry | undefined)[];
  readonly holds?: readonly HoldEntry[];
}

/** An entry as it was read: as a value, or as the same bytes that an earlier section had at a place. */
export type RawEntry =
  | { readonly same: number; readonly value?: undefined }
  | { readonly same?: undefined; readonly value: BValue };

export interface RawEntries {
  readonly items: readonly RawEntry[];
  readonly layout: Places;
}

const LIST = 0x6c;
const END = 0x65;
/** How far from where it should be an entry is looked for: so many may come or go in a row. */
const REACH = 8;

/**
 * Reads a list of entries. Most of a section that follows another are the same bytes, and bytes that begin with those of a
 * bencoded value begin with that value: such entries need not be read again. Throws `bad-encoding`.
 */
export function readEntries(
  reader: BencodeReader,
  limit: number,
  body: Buffer | undefined,
  known: Places | undefined,
): RawEntries {
  const { bytes } = reader;
  if (bytes[reader.at] !== LIST) throw new PeerwireError('bad-encoding', 'The entries of a section are a list.');
  reader.skip(reader.at + 1, 1);
  const items: RawEntry[] = [];
  const starts: number[] = [];
  const ends: number[] = [];
  const tokens: number[] = [];
  let next = 0;
  while (bytes[reader.at] !== END) {
    if (items.length >= limit) throw new PeerwireError('bad-encoding', 'A catalogue section has too many entries.');
    const { at, tokensLeft } = reader.place;
    const same = body && known ? findSame(bytes, at, body, known, next) : undefined;
    if (same !== undefined && known) {
      reader.skip(at + (known.ends[same] ?? 0) - (known.starts[same] ?? 0), known.tokens[same] ?? 0);
      items.push({ same });
      next = same + 1;
    } else {
      items.push({ value: reader.value() });
      next++;
    }
    starts.push(at);
    ends.push(reader.at);
    tokens.push(tokensLeft - reader.place.tokensLeft);
  }
  reader.skip(reader.at + 1, 0);
  const layout = { starts: Uint32Array.from(starts), ends: Uint32Array.from(ends), tokens: Uint32Array.from(tokens) };
  return { items, layout };
}

/** The place at which the earlier section has what comes now; near `next`, where it is unless something came or went. */
function findSame(bytes: Buffer, at: number, body: Buffer, known: Places, next: number): number | undefined {
  for (let distance = 0; distance <= REACH; distance++) {
    for (const i of distance === 0 ? [next] : [next + distance, next - distance]) {
      const start = known.starts[i];
      const end = known.ends[i];
      if (start === undefined || end === undefined || at + end - start > bytes.length) continue;
      if (bytes.compare(body, start, end, at, at + end - start) === 0) return i;
    }
  }
  return undefined;
}
