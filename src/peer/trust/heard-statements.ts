import type { DeviceId } from '../../common/ids.ts';

/** Something that a device said, by its `about`, and when this device heard of it first. */
export interface Heard {
  readonly by: DeviceId;
  /** Names what it is about (`revocationKey`, or the settings with their sequence). */
  readonly about: string;
  /** As first stated: milliseconds since the epoch, by the clock of who signed. */
  readonly date: number;
  /** Milliseconds since the epoch, by our own clock. */
  readonly since: number;
}

/**
 * When the creator's device heard of what others said, since the dates in statements are their signers' word: of an admin who
 * turned out to be a rogue one wants back what was before that. Bounded by what `Statements` keeps.
 */
export class HeardStatements {
  readonly #heard = new Map<string, Heard>();

  constructor(heard: readonly Heard[] = []) {
    for (const entry of heard) this.#add(entry);
  }

  /** All that there is to be heard now: what is there no more is forgotten. True when something changed. */
  note(statements: Iterable<Omit<Heard, 'since'>>, now: number): boolean {
    const before = new Map(this.#heard);
    this.#heard.clear();
    let changed = false;
    for (const statement of statements) {
      const key = keyOf(statement);
      const known = before.get(key);
      if (known === undefined) changed = true;
      this.#heard.set(key, known ?? { ...statement, since: now });
    }
    return changed || before.size !== this.#heard.size;
  }

  get(by: DeviceId, about: string): Heard | undefined {
    return this.#heard.get(keyOf({ by, about }));
  }

  /** Takes in what another window of this device heard, maybe earlier. */
  absorb(heard: readonly Heard[]): void {
    for (const entry of heard) if (this.#heard.has(keyOf(entry))) this.#add(entry);
  }

  list(): Heard[] {
    return [...this.#heard.values()];
  }

  #add(entry: Heard): void {
    const known = this.#heard.get(keyOf(entry));
    if (known === undefined || entry.since < known.since) this.#heard.set(keyOf(entry), entry);
  }
}

function keyOf({ by, about }: Pick<Heard, 'by' | 'about'>): string {
  return `${by} ${about}`;
}
