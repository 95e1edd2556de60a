import type { Info } from '../../../../src/bittorrent/metainfo.ts';
import { versionOf } from './version.ts';

/** A version of many small files in many folders, the same in every process. */
export function manyFiles(count: number): { readonly info: Info; readonly content: Readonly<Record<string, string>> } {
  const content: Record<string, string> = {};
  for (let index = 0; index < count; index++) content[`${index % 20}/${index % 7}/${index}`] = `content of ${index}`;
  return { info: versionOf('share', content), content };
}
