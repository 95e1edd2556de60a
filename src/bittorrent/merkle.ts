export const BLOCK_SIZE = 16384;
export const HASH_SIZE = 32;
export interface HashRequest {
  readonly root: Buffer;
  readonly base: number;
  readonly index: number;
  readonly length: number;
  readonly proofLayers: number;
}
const later = (): never => {
  throw new Error('not written yet');
};
export const sha256: (data: Uint8Array) => Buffer = later;
export const padHash: (level: number) => Buffer = later;
export const merkleRoot: (nodes: Uint8Array, level: number, width: number) => Buffer = later;
export const fileRoot: (leaves: Uint8Array) => Buffer = later;
export const pieceLayerRoot: (layer: Uint8Array, pieceLength: number) => Buffer = later;
/** Hash of one piece from its leaf hashes: files of at most one piece pad only to the next power of two of blocks. */
export const pieceRoot: (leaves: Uint8Array, pieceLength: number, fileBlocks: number) => Buffer = later;
/** `proofLayers` of a request whose answer proves itself up to the root. */
export const proofLayersFor: (fileBlocks: number, base: number) => number = later;
/** undefined: answer with a reject. `layer`: all nodes at level `layerLevel`, which is at most request.base. */
export const hashesFor: (
  layer: Uint8Array,
  layerLevel: number,
  fileBlocks: number,
  request: HashRequest,
) => Buffer | undefined = later;
export const verifyHashes: (root: Uint8Array, fileBlocks: number, request: HashRequest, hashes: Uint8Array) => boolean = later;
