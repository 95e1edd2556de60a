import { constants } from 'node:fs';

/**
 * For every path that others may have a hand in: never follows a link at its last component, and does not wait for somebody
 * to write into a pipe. Windows has neither flag.
 */
export const CAREFUL = (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);
