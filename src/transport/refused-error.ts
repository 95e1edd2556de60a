import { PeerwireError } from '../common/errors.ts';

/** The other end would not have this device: `revoked`, `expired` or `not-admitted`. When we would not have it, the codes are the same. */
export class RefusedError extends PeerwireError {}
