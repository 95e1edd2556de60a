import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { PeerwireError } from '../common/errors.ts';

/** RFC 6886. */
const PORT = 5351;
const EXTERNAL_ADDRESS = 0;
const MAP_TCP = 2;
const ANSWER = 128;
/** Milliseconds until a request is sent again; doubles. */
const RETRANSMIT = 250;
/** By result code; others are of versions to come. */
const PROBLEMS = ['', 'it speaks another version', 'it refuses to', 'it has no connection', 'it has no ports left'];

export interface NatPmpMapping {
  /** The port outside. */
  readonly port: number;
  /** Seconds for which the router keeps it. */
  readonly lifetime: number;
}

/**
 * Asks a router to forward a TCP port of this machine, for so many seconds; 0 takes it back. `wanted`: the port outside, which
 * is a wish. Rejects with `timeout`, `connection`, or `unsupported` with the router's reason.
 */
export async function mapByNatPmp(
  router: string,
  port: number,
  wanted: number,
  lifetime: number,
  timeout: number,
): Promise<NatPmpMapping> {
  const request = Buffer.alloc(12);
  request.writeUInt8(MAP_TCP, 1);
  request.writeUInt16BE(port, 4);
  request.writeUInt16BE(wanted, 6);
  request.writeUInt32BE(lifetime, 8);
  return await ask(router, request, (answer) => readMapping(answer, port), timeout);
}

/** The router's address outside. Rejects as `mapByNatPmp` does. */
export async function addressByNatPmp(router: string, timeout: number): Promise<string> {
  return await ask(router, Buffer.from([0, EXTERNAL_ADDRESS]), readAddress, timeout);
}

/** Undefined when it answers something else. Throws `unsupported` when it is a refusal. */
export function readMapping(answer: Uint8Array, port: number): NatPmpMapping | undefined {
  const bytes = checked(answer, MAP_TCP, 16);
  if (!bytes || bytes.readUInt16BE(8) !== port) return undefined;
  return { port: bytes.readUInt16BE(10), lifetime: bytes.readUInt32BE(12) };
}

/** As `readMapping`. */
export function readAddress(answer: Uint8Array): string | undefined {
  return checked(answer, EXTERNAL_ADDRESS, 12)?.subarray(8, 12).join('.');
}

function checked(answer: Uint8Array, operation: number, length: number): Buffer | undefined {
  const bytes = Buffer.from(answer);
  if (bytes.length < 4 || bytes.readUInt8(0) !== 0 || bytes.readUInt8(1) !== ANSWER + operation) return undefined;
  const result = bytes.readUInt16BE(2);
  if (result !== 0) {
    throw new PeerwireError('unsupported', `The router forwards no port: ${PROBLEMS[result] ?? `reason ${result}`}.`);
  }
  return bytes.length < length ? undefined : bytes;
}

function ask<T>(router: string, request: Buffer, read: (answer: Buffer) => T | undefined, timeout: number): Promise<T> {
  const socket = createSocket('udp4');
  let timer: NodeJS.Timeout | undefined;
  let late: NodeJS.Timeout | undefined;
  return new Promise<T>((resolve, reject) => {
    late = setTimeout(
      () => reject(new PeerwireError('timeout', `${router} did not answer to NAT-PMP in time.`)),
      timeout,
    );
    socket.on('error', (cause) =>
      reject(new PeerwireError('connection', `${router} cannot be asked for a port.`, { cause })),
    );
    socket.on('message', (message) => {
      try {
        const answer = read(message);
        if (answer !== undefined) resolve(answer);
      } catch (error) {
        reject(error);
      }
    });
    const send = (delay: number): void => {
      socket.send(request);
      timer = setTimeout(() => send(delay * 2), delay + randomInt(50));
    };
    // Connected: what others send is dropped by the system, and a closed port is reported.
    socket.connect(PORT, router, () => send(RETRANSMIT));
  }).finally(() => {
    clearTimeout(timer);
    clearTimeout(late);
    socket.close();
  });
}
