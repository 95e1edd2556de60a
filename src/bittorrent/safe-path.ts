const later = (): never => {
  throw new Error('not written yet');
};
export const checkComponent: (name: string) => void = later;
export const checkTree: (paths: readonly (readonly string[])[]) => void = later;
/** Names equal under it are one file on some system: NFC, full case folding, invisible characters dropped. */
export const foldName: (name: string) => string = later;
/** A name made harmless to show in a message. */
export const escapeName: (name: string) => string = later;
