import { createCipheriv } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const PER_FOLDER = 100;
const LEAST = 1024;
const MOST = 8 * 1024;

/** Makes a folder of `count` files of 1–8 KiB, a hundred in each folder below it; the same every time. Returns its bytes. */
export function writeSmallFiles(root: string, count: number): number {
  const stream = createCipheriv('aes-128-ctr', Buffer.alloc(16, 2), Buffer.alloc(16));
  const zeros = Buffer.alloc(MOST);
  let bytes = 0;
  for (let index = 0; index < count; index++) {
    const folder = path.join(root, `module-${String(Math.floor(index / PER_FOLDER)).padStart(3, '0')}`);
    if (index % PER_FOLDER === 0) mkdirSync(folder, { recursive: true });
    const content = stream.update(zeros);
    const size = LEAST + (content.readUInt16BE() % (MOST - LEAST + 1));
    writeFileSync(path.join(folder, `file-${String(index).padStart(5, '0')}.ts`), content.subarray(0, size));
    bytes += size;
  }
  return bytes;
}

/** Throws unless two folders hold the same files with the same content. */
export function checkSameFiles(a: string, b: string): void {
  const list = (root: string): string[] =>
    readdirSync(root, { recursive: true, encoding: 'utf8' })
      .filter((name) => statSync(path.join(root, name)).isFile())
      .sort();
  const names = list(a);
  if (names.join('\n') !== list(b).join('\n')) throw new Error('The copy has other files.');
  for (const name of names) {
    if (!readFileSync(path.join(a, name)).equals(readFileSync(path.join(b, name))))
      throw new Error(`${name} differs in the copy.`);
  }
}
