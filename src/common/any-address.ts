/** Where a peer listens unless told otherwise: on every address of this machine, of both families where it has both. */
export const ANY_ADDRESS = '::';
