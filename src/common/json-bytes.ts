/** Under this key alone in an object, base64. */
const KEY = 'base64';
/** Cheap to look for: only messages that have it are looked through. */
const MARK = `{"${KEY}":"`;

/**
 * Bytes that survive JSON (through `parseJson`) as well as structured clone, which copies all of their buffer: give them one
 * of their own. They arrive as a `Uint8Array`.
 */
export class JsonBytes extends Uint8Array<ArrayBuffer> {
  toJSON(): { readonly [KEY]: string } {
    return { [KEY]: Buffer.from(this.buffer, this.byteOffset, this.byteLength).toString('base64') };
  }
}

/** JSON.parse that brings `JsonBytes` back as a `Uint8Array`. Throws SyntaxError. */
export function parseJson(text: string): unknown {
  return text.includes(MARK) ? JSON.parse(text, reviveBytes) : JSON.parse(text);
}

function reviveBytes(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !(KEY in value)) return value;
  if (Object.keys(value).length !== 1 || typeof value.base64 !== 'string') return value;
  return new Uint8Array(Buffer.from(value.base64, 'base64'));
}
