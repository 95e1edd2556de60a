export const HANDSHAKE_SIZE = 68;
export interface Handshake {
  readonly infoHash: Buffer;
  readonly peerId: Buffer;
  readonly extended: boolean;
  readonly fast: boolean;
  readonly v2: boolean;
}
const later = (): never => {
  throw new Error('not written yet');
};
export const encodeHandshake: (ids: { readonly infoHash: Uint8Array; readonly peerId: Uint8Array }) => Buffer = later;
/** The first HANDSHAKE_SIZE bytes of a connection. Throws 'protocol'. */
export const decodeHandshake: (bytes: Uint8Array) => Handshake = later;
