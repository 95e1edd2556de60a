/** How a peer can be wrong. The first four send wrong bytes through an engine like ours; the others speak for themselves. */
export const LIES = [
  // Content
  'corrupts-all',
  'corrupts-some',
  'corrupts-one-block',
  'has-nothing',
  // Answers
  'rejects',
  'never-unchokes',
  'silent',
  'late',
  'unasked',
  'duplicates',
  'trickles',
  'half-blocks',
  'wrong-bounds',
  'toggles-choke',
  // Descriptions
  'forges-hashes',
  'forges-metadata',
  'claims-falsely',
  'announces-twice',
  'no-reqq',
  'huge-reqq',
  // Traffic
  'floods',
  'never-reads',
  'bad-length',
  'garbage',
] as const;

export type Lie = (typeof LIES)[number];

/** It has an engine, and wrong bytes on its disk. */
export function hasEngine(lie: Lie): boolean {
  return ['corrupts-all', 'corrupts-some', 'corrupts-one-block', 'has-nothing'].includes(lie);
}

/** Blocks from it can be wrong. */
export function sendsWrongBytes(lie: Lie): boolean {
  return hasEngine(lie) || lie === 'wrong-bounds' || lie === 'half-blocks';
}
