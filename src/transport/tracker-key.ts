import { randomBytes } from 'node:crypto';

/** A random number for this process, 4 bytes: lets a tracker know us when our address changes (BEP 7, BEP 15). */
export const TRACKER_KEY = randomBytes(4);
