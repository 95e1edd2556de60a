import type { SignedSection } from './catalogue.ts';
import { encodeDelta } from './section-delta.ts';

/** Versions of one section, and bytes of all, that are kept to tell others what changed since. */
const MOST_VERSIONS = 4;
const MOST_BYTES = 16 * 1024 * 1024;

/** What sections were before: who has one of these is sent what changed, not the whole. */
export class PastSections {
  /** By key, the oldest first; the key whose section changed longest ago first. */
  readonly #versions = new Map<string, SignedSection[]>();
  #bytes = 0;
  /** Computed for one peer, the same for all: by the section that it leads to, and the digest of the one before. */
  readonly #deltas = new WeakMap<SignedSection, Map<string, Buffer | undefined>>();

  /** The section was replaced. */
  add(key: string, before: SignedSection): void {
    const versions = this.#versions.get(key) ?? [];
    this.#versions.delete(key);
    this.#versions.set(key, versions);
    versions.push(before);
    this.#bytes += before.bytes.length;
    if (versions.length > MOST_VERSIONS) this.#bytes -= versions.shift()?.bytes.length ?? 0;
    for (const oldest of this.#versions.keys()) {
      if (this.#bytes <= MOST_BYTES) break;
      this.#forget(oldest);
    }
  }

  /** What leads from the version with this digest to the section; undefined when the whole is to be sent. */
  deltaTo(key: string, after: SignedSection, digest: string): Buffer | undefined {
    const before = this.#versions.get(key)?.find((version) => version.digest === digest);
    if (before === undefined) return undefined;
    const known = this.#deltas.get(after) ?? new Map<string, Buffer | undefined>();
    this.#deltas.set(after, known);
    if (!known.has(digest)) known.set(digest, encodeDelta(before.bytes, after.bytes));
    return known.get(digest);
  }

  #forget(key: string): void {
    for (const { bytes } of this.#versions.get(key) ?? []) this.#bytes -= bytes.length;
    this.#versions.delete(key);
  }
}
