import { MAX_COMPONENT_BYTES } from '../../bittorrent/safe-path.ts';

/** Names to keep a file under when its own is taken: `name (2).ext`, `name (3).ext`, … without end. */
export function* freeNames(name: string): Generator<string> {
  // `.tar.gz` and the like stay together; a leading dot begins no extension.
  const extension = /(?<=.)(\.tar)?\.[^. ]{1,16}$/i.exec(name)?.[0] ?? '';
  const stem = name.slice(0, name.length - extension.length);
  for (let number = 2; ; number++) {
    const ending = ` (${number})${extension}`;
    yield cut(stem, MAX_COMPONENT_BYTES - Buffer.byteLength(ending)) + ending;
  }
}

/** The longest beginning of at most `bytes` bytes of UTF-8 that ends between characters. */
function cut(text: string, bytes: number): string {
  let size = 0;
  let result = '';
  for (const { segment } of new Intl.Segmenter().segment(text)) {
    size += Buffer.byteLength(segment);
    if (size > bytes) break;
    result += segment;
  }
  return result;
}
