import { createECDH, createPrivateKey } from 'node:crypto';
import type { Clock } from '../../../src/common/clock.ts';
import { type Disposable, toDisposable } from '../../../src/common/disposable.ts';
import { type Identity, loadIdentity } from '../../../src/transport/identity.ts';
import { VirtualClock } from '../virtual-clock.ts';

/** On which all listen. */
export const PORT = 6881;
/** Wall time when a virtual clock begins. */
const VIRTUAL_EPOCH = new VirtualClock().wallTime();

/** The same key for the same numbers, so that whoever is smaller than whom replays too. */
export function seededIdentity(random: () => number): Identity {
  const ecdh = createECDH('prime256v1');
  ecdh.setPrivateKey(seededBytes(32, random).fill(1, 0, 1));
  const point = ecdh.getPublicKey();
  const key = createPrivateKey({
    key: {
      kty: 'EC',
      crv: 'P-256',
      d: ecdh.getPrivateKey().toString('base64url'),
      x: point.subarray(1, 33).toString('base64url'),
      y: point.subarray(33, 65).toString('base64url'),
    },
    format: 'jwk',
  });
  return loadIdentity(key.export({ type: 'pkcs8', format: 'pem' }).toString());
}

export function seededBytes(length: number, random: () => number): Buffer {
  return Buffer.from(Array.from({ length }, () => Math.floor(random() * 256)));
}

/** What a peer keeps on disk, in memory: a read or write under a virtual clock must take no real time. */
export class MemoryState {
  readonly files = new Map<string, Buffer>();
  /** Of the file of addresses: it is asked for often. */
  #hosts: { readonly file: Buffer | undefined; readonly hosts: ReadonlySet<string> } | undefined;

  /** Makes its program remember where others were. */
  remember(hosts: readonly { readonly host: string }[]): void {
    const added = VIRTUAL_EPOCH;
    const addresses = hosts.map(({ host }) => ({ host, port: PORT, origin: 'member', added, lastSuccess: added }));
    this.files.set('addresses', Buffer.from(JSON.stringify(addresses)));
  }

  /** Its program once met somebody there, and has not forgotten. */
  remembers(host: string): boolean {
    const file = this.files.get('addresses');
    if (this.#hosts === undefined || this.#hosts.file !== file) {
      const addresses: readonly { readonly host: string }[] = JSON.parse(file?.toString() ?? '[]');
      this.#hosts = { file, hosts: new Set(addresses.map((address) => address.host)) };
    }
    return this.#hosts.hosts.has(host);
  }

  readJson(name: string): Promise<unknown>;
  readJson<T>(name: string, parse: (value: unknown) => T): Promise<T | undefined>;
  async readJson(name: string, parse: (value: unknown) => unknown = (value) => value): Promise<unknown> {
    const bytes = this.files.get(name);
    return bytes === undefined ? undefined : parse(JSON.parse(bytes.toString()));
  }

  async writeJson(name: string, value: unknown): Promise<void> {
    this.files.set(name, Buffer.from(JSON.stringify(value)));
  }

  async readBytes(name: string): Promise<Buffer | undefined> {
    return this.files.get(name);
  }

  async writeBytes(name: string, value: Uint8Array): Promise<void> {
    this.files.set(name, Buffer.from(value));
  }
}

/**
 * The clock of one run of one program: it stands still while its machine sleeps (wall time jumps then), and for ever
 * when its program was killed.
 */
export class MachineClock implements Clock {
  readonly #clock: VirtualClock;
  #dead = false;
  #asleep = false;
  #due: (() => void)[] = [];

  constructor(clock: VirtualClock) {
    this.#clock = clock;
  }

  get asleep(): boolean {
    return this.#asleep;
  }

  get dead(): boolean {
    return this.#dead;
  }

  now(): number {
    return this.#clock.now();
  }

  wallTime(): number {
    return Math.floor(this.#clock.wallTime());
  }

  setTimeout(callback: () => void, delay: number): Disposable {
    let isSet = true;
    const fire = (): void => {
      if (!isSet || this.#dead) return;
      if (this.#asleep) {
        this.#due.push(fire);
        return;
      }
      isSet = false;
      callback();
    };
    const timer = this.#dead ? undefined : this.#clock.setTimeout(fire, delay);
    return toDisposable(() => {
      isSet = false;
      timer?.dispose();
    });
  }

  setInterval(callback: () => void, period: number): Disposable {
    let current: Disposable;
    const again = (): void => {
      current = this.setTimeout(() => {
        again();
        callback();
      }, period);
    };
    again();
    return toDisposable(() => current.dispose());
  }

  sleep(): void {
    this.#asleep = true;
  }

  wake(): void {
    this.#asleep = false;
    for (const fire of this.#due.splice(0)) fire();
  }

  kill(): void {
    this.#dead = true;
    this.#due = [];
  }
}
