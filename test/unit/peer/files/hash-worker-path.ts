/** The worker's source: Node strips its types. */
export const HASH_WORKER = new URL('../../../../src/peer/hash-worker.ts', import.meta.url);
