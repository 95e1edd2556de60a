export const METADATA_PIECE = 16384;
export type MetadataMessage =
  | { readonly type: 'request'; readonly piece: number }
  | { readonly type: 'data'; readonly piece: number; readonly totalSize: number; readonly data: Buffer }
  | { readonly type: 'reject'; readonly piece: number };
const later = (): never => {
  throw new Error('not written yet');
};
export const encodeMetadataMessage: (message: MetadataMessage) => Buffer = later;
/** undefined: a message type that BEP 9 says to ignore. Throws 'bad-encoding'. */
export const decodeMetadataMessage: (payload: Uint8Array) => MetadataMessage | undefined = later;
