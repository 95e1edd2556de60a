export type BValue = number | Buffer | BValue[] | BDict;
/** Keys are raw bytes as latin1 text. */
export type BDict = Map<string, BValue>;
export type Encodable =
  | number
  | string
  | Uint8Array
  | readonly Encodable[]
  | ReadonlyMap<string, Encodable>
  | { readonly [key: string]: Encodable | undefined };
export interface BencodeLimits {
  readonly depth?: number;
  readonly tokens?: number;
}
const later = (): never => {
  throw new Error('not written yet');
};
export const encode: (value: Encodable) => Buffer = later;
export const decode: (bytes: Uint8Array, limits?: BencodeLimits) => BValue = later;
export const decodePrefix: (bytes: Uint8Array, limits?: BencodeLimits) => { value: BValue; end: number } = later;
export const rawField: (bytes: Uint8Array, key: string) => Buffer | undefined = later;
/** Typed readers: throw 'bad-encoding' also for undefined. */
export const dictOf: (value: BValue | undefined) => BDict = later;
export const listOf: (value: BValue | undefined) => BValue[] = later;
export const intOf: (value: BValue | undefined, min?: number, max?: number) => number = later;
export const bytesOf: (value: BValue | undefined, length?: number) => Buffer = later;
export const textOf: (value: BValue | undefined, maxBytes?: number) => string = later;
/** An optional field: undefined when absent; with `read`, e.g. field(d, 'n', intOf) or field(d, 'n', (v) => intOf(v, 0)). */
export function field(dict: BDict, key: string): BValue | undefined;
export function field<T>(dict: BDict, key: string, read: (value: BValue) => T): T | undefined;
export function field<T>(dict: BDict, key: string, read?: (value: BValue) => T): T | BValue | undefined {
  const value = dict.get(key);
  return value === undefined || read === undefined ? value : read(value);
}
