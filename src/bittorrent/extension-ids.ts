/** The ids under which the two ends of a connection send each other extension messages (BEP 10): each end names its own. */
export class ExtensionIds {
  /** Ours: name → the id (1–255) under which others send it to us. */
  readonly ours: Readonly<Record<string, number>>;
  readonly #names = new Map<number, string>();
  readonly #theirs = new Map<string, number>();

  constructor(ours: Readonly<Record<string, number>>) {
    this.ours = ours;
    for (const [name, id] of Object.entries(ours)) this.#names.set(id, name);
  }

  /** The extension of a message that arrived; undefined for an id that we did not name. */
  nameOf(id: number): string | undefined {
    return this.#names.get(id);
  }

  /** The other's id for an extension; undefined when it does not know it, or we do not. */
  theirs(name: string): number | undefined {
    return this.#theirs.get(name);
  }

  /**
   * `m` of the other's handshake. It may come again, then it adds and changes; 0 takes back. Names that we do not know are
   * not kept: they cost memory and nobody asks for them.
   */
  learn(ids: Readonly<Record<string, number>>): void {
    for (const name of this.#names.values()) {
      const id = Object.hasOwn(ids, name) ? ids[name] : undefined;
      if (id === 0) this.#theirs.delete(name);
      else if (id !== undefined) this.#theirs.set(name, id);
    }
  }
}
