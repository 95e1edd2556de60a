/**
 * How a section becomes its next version: which bytes of the body before are copied, and what is put between them. It is a matter
 * of transport alone. What comes out is judged like any section that came whole, by its signature over the whole body.
 */
import { bytesOf, decode, dictOf, encode } from '../../bittorrent/bencode.ts';
import { PeerwireError } from '../../common/errors.ts';
import { encodeEnvelope, MAX_CREDENTIALS, MAX_SECTION_SIZE, readEnvelope } from './catalogue.ts';

/** Smaller sections travel whole. */
export const WORTH_A_DELTA = 4096;
/** More steps than this are no delta: whoever changed so much sends the whole. */
const MOST_STEPS = 512;
/** Bytes of a step: where to copy from, how many bytes, and how many follow that are new; 32-bit unsigned. */
const STEP = 12;
/** Bytes that must be equal at a place to go on copying from there. */
const ANCHOR = 24;
/** … and that show that it is the same place, and not one that looks like it. */
const ALIKE = 512;
/** Bytes in which every place is tried; beyond, at twice the distance each time. */
const NEARBY = 1024;
/** How far the next equal place is looked for, in bytes of the new body. */
const WINDOW = 32 * 1024;
/** How much of the old body is skipped at most to find it, in bytes. */
const MOST_SKIPPED = 32 * 1024;
/** Bytes that are searched for equal places, in all: what others wrote may be made to take long. */
const MOST_SEARCHED = 4 * 1024 * 1024;
/** Bytes compared in one go. */
const STRIDE = 4096;

/**
 * What leads from one section to the next, both as they travel; undefined when it would be more than half of what it saves.
 * Takes some milliseconds for a body of megabytes, some ten at worst.
 */
export function encodeDelta(before: Buffer, after: Buffer): Buffer | undefined {
  const { body, credentials, signature } = readEnvelope(after);
  if (body.length < WORTH_A_DELTA) return undefined;
  const steps = stepsBetween(readEnvelope(before).body, body);
  if (steps === undefined) return undefined;
  const delta = encode({ credentials, signature, steps });
  return delta.length <= body.length / 2 ? delta : undefined;
}

/** The section that follows, as it would travel: no larger than both together. Throws `bad-encoding` when the delta leads nowhere. */
export function applyDelta(before: Buffer, delta: Uint8Array): Buffer {
  const dict = dictOf(decode(delta, { depth: 2, tokens: 16 }));
  const credentials = bytesOf(dict.get('credentials'));
  if (credentials.length > MAX_CREDENTIALS) throw unfit('its credentials are too large');
  const signature = bytesOf(dict.get('signature'), 64);
  const body = takeSteps(readEnvelope(before).body, bytesOf(dict.get('steps')));
  return encodeEnvelope({ body, credentials, signature });
}

function stepsBetween(before: Buffer, after: Buffer): Buffer | undefined {
  const parts: Buffer[] = [];
  const search = { left: MOST_SEARCHED };
  let [from, to] = [0, 0];
  while (to < after.length || parts.length === 0) {
    const copied = equalBytes(before, from, after, to);
    const next = resync(before, from + copied, after, to + copied, search);
    if (parts.length >= 2 * MOST_STEPS || search.left <= 0) return undefined;
    const step = Buffer.alloc(STEP);
    step.writeUInt32LE(from, 0);
    step.writeUInt32LE(copied, 4);
    step.writeUInt32LE(next.to - to - copied, 8);
    parts.push(step, after.subarray(to + copied, next.to));
    ({ from, to } = next);
  }
  return Buffer.concat(parts);
}

/** How many bytes are the same from these places on. */
function equalBytes(a: Buffer, from: number, b: Buffer, to: number): number {
  const most = Math.min(a.length - from, b.length - to);
  let equal = 0;
  while (equal + STRIDE <= most && sameAt(a, from + equal, b, to + equal, STRIDE)) equal += STRIDE;
  while (equal < most && a[from + equal] === b[to + equal]) equal++;
  return equal;
}

function sameAt(a: Buffer, from: number, b: Buffer, to: number, length: number): boolean {
  return a.compare(b, to, to + length, from, from + length) === 0;
}

/**
 * The next places from which both go on alike; the ends when there are none nearby. Entries look much the same for some dozen bytes,
 * wherever one compares them: it has to be more.
 */
function resync(
  before: Buffer,
  from: number,
  after: Buffer,
  to: number,
  search: { left: number },
): { from: number; to: number } {
  const window = after.subarray(to, to + WINDOW);
  let best = { from: 0, to: 0, equal: 0 };
  for (let skipped = 0; skipped <= MOST_SKIPPED; skipped += skipped < NEARBY ? ANCHOR : skipped) {
    const anchor = before.subarray(from + skipped, from + skipped + ANCHOR);
    if (anchor.length < ANCHOR) break;
    const found = window.indexOf(anchor);
    search.left -= found < 0 ? window.length : found;
    if (found < 0) continue;
    const equal = equalBytes(before, from + skipped, after, to + found);
    if (equal > best.equal) best = { from: from + skipped, to: to + found, equal };
    if (equal >= ALIKE) break;
  }
  if (best.equal === 0) {
    const tail = equalEnd(before, from, after, to);
    return { from: before.length - tail, to: after.length - tail };
  }
  // The first equal byte may lie before it.
  const most = Math.min(best.from - from, best.to - to);
  let back = 0;
  while (back < most && before[best.from - back - 1] === after[best.to - back - 1]) back++;
  return { from: best.from - back, to: best.to - back };
}

/** How many bytes are the same at the ends, not before these places. */
function equalEnd(a: Buffer, from: number, b: Buffer, to: number): number {
  const most = Math.min(a.length - from, b.length - to);
  let equal = 0;
  while (equal < most && a[a.length - equal - 1] === b[b.length - equal - 1]) equal++;
  return equal;
}

function takeSteps(before: Buffer, steps: Buffer): Buffer {
  const parts: Buffer[] = [];
  let size = 0;
  let taken = 0;
  for (let at = 0; at < steps.length; ) {
    if (parts.length >= 2 * MOST_STEPS || at + STEP > steps.length)
      throw unfit('it has too many steps, or half of one');
    const from = steps.readUInt32LE(at);
    const copied = steps.readUInt32LE(at + 4);
    const added = steps.readUInt32LE(at + 8);
    at += STEP;
    // Forwards only, each byte once: so no more comes out than both together have.
    if (from < taken || from + copied > before.length) throw unfit('it copies what is not there, or was there before');
    if (at + added > steps.length) throw unfit('it has less to add than it says');
    taken = from + copied;
    size += copied + added;
    if (size > MAX_SECTION_SIZE) throw unfit('what comes out is too large');
    parts.push(before.subarray(from, from + copied), steps.subarray(at, at + added));
    at += added;
  }
  return Buffer.concat(parts, size);
}

function unfit(reason: string): PeerwireError {
  return new PeerwireError('bad-encoding', `A change of a catalogue leads nowhere: ${reason}.`);
}
