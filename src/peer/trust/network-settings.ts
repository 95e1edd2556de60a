import { decode, dictOf, field, intOf, listOf, textOf } from '../../bittorrent/bencode.ts';
import type { NetworkId } from '../../common/ids.ts';
import { checkTrackerUrl } from '../../transport/tracker-url.ts';
import { MAX_TRACKER_URL, MAX_TRACKERS } from './invite.ts';
import { displayName } from './names.ts';
import { type Sign, type Signed, signBody } from './signed.ts';

/** What creator and admins set for all members. */
export interface NetworkSettings {
  /** Higher than that of all before it, in its generation. */
  readonly sequence: number;
  /** Only the root key begins a new one (0 at first): or an admin who uses up the sequences would have the last word for ever. */
  readonly generation: number;
  /** Milliseconds since the epoch by the clock of who signed. */
  readonly date: number;
  /** Never empty. */
  readonly name: string;
  readonly trackers: readonly string[];
}

export interface SignedSettings {
  readonly settings: NetworkSettings;
  readonly signed: Signed;
}

export function signSettings(network: NetworkId, settings: NetworkSettings, sign: Sign): SignedSettings {
  const { sequence, generation, date, name, trackers } = settings;
  const body = { q: sequence, t: date, n: name, u: [...trackers], ...(generation === 0 ? {} : { g: generation }) };
  return { settings, signed: signBody('settings', network, body, sign) };
}

/**
 * Throws `bad-encoding`; verifies nothing. A tracker that this version would not ask is left out: the statement has to be
 * passed on all the same.
 */
export function readSettings(signed: Signed): SignedSettings {
  const dict = dictOf(decode(signed.body, { depth: 4, tokens: 64 }));
  const name = displayName(textOf(field(dict, 'n'), 512));
  const urls = listOf(field(dict, 'u')).slice(0, MAX_TRACKERS);
  return {
    settings: {
      sequence: intOf(field(dict, 'q'), 0),
      generation: field(dict, 'g', (value) => intOf(value, 0)) ?? 0,
      date: intOf(field(dict, 't'), 0),
      name: name === '' ? '?' : name,
      trackers: [...new Set(urls.flatMap((url) => usable(textOf(url, MAX_TRACKER_URL))))],
    },
    signed,
  };
}

/** The later counts: by generation and sequence, and of two at once by the bytes, so that all settle on the same. */
export function compareSettings(a: SignedSettings, b: SignedSettings): number {
  const [one, two] = [a.settings, b.settings];
  return one.generation - two.generation || one.sequence - two.sequence || Buffer.compare(a.signed.body, b.signed.body);
}

function usable(url: string): string[] {
  try {
    return [checkTrackerUrl(url).href];
  } catch {
    return [];
  }
}
