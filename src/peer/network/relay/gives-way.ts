/** A place that is taken, and by whom: from the widest group down to the device. */
export interface Place {
  readonly chain: readonly string[];
}

/**
 * Of places that are all taken, the one that has to make room for a newcomer; undefined: none, since nobody has more than the newcomer
 * would. At each step of the chain, the group with the most gives way to any that has two fewer; so a place never goes back and forth,
 * and many devices that one member invited count as that member. `isBefore`: of one device, which goes first.
 */
export function givesWay<T extends Place>(
  taken: Iterable<T>,
  newcomer: readonly string[],
  isBefore: (a: T, b: T) => boolean,
): T | undefined {
  let places = [...taken];
  // Until a group is found that has to give way, those with whom the newcomer shares it.
  let isFair = true;
  for (let depth = 0; places.length > 0; depth++) {
    const groups = new Map<string | undefined, T[]>();
    for (const place of places) {
      const name = place.chain[depth];
      const group = groups.get(name);
      if (group) group.push(place);
      else groups.set(name, [place]);
    }
    let [heaviest, most]: [string | undefined, T[]] = [undefined, []];
    for (const [name, group] of groups) if (group.length > most.length) [heaviest, most] = [name, group];
    const own = newcomer[depth];
    if (isFair && most.length <= (groups.get(own)?.length ?? 0) + 1) {
      if (own === undefined) return undefined;
      places = groups.get(own) ?? [];
      continue;
    }
    isFair = false;
    places = most;
    if (heaviest === undefined) return places.reduce((first, place) => (isBefore(place, first) ? place : first));
  }
  return undefined;
}
