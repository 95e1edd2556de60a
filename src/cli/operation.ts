let last = 0;

/** A name for what a command asks of a peer, unlike those of other commands that run on this machine: to follow or cancel it. */
export function newOperation(): string {
  return `cli-${process.pid}-${++last}`;
}
