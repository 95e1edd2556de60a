import type { DeviceId } from '../../common/ids.ts';

/** Four words to compare aloud. A check against mix-ups, not proof: 32 bits. */
export function wordsFor(_device: DeviceId): string[] {
  return [];
}
