/** What crosses an interface, byte for byte: TCP streams put together from raw frames. */
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import type { Cable } from './netns.ts';

/** Writes each frame with its length in front (big-endian) until it is ended by SIGTERM; says when it listens. */
const CAPTURE = `
import signal, socket, struct, sys
ended = False
def end(*_):
    global ended
    ended = True
signal.signal(signal.SIGTERM, end)
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
s.setsockopt(socket.SOL_SOCKET, 33, 256 << 20)  # SO_RCVBUFFORCE: frames that find no room are lost
s.bind((sys.argv[1], 0))
s.settimeout(0.2)
with open(sys.argv[2], 'wb', 1 << 20) as out:
    print('ready', flush=True)
    while True:
        try:
            frame = s.recv(1 << 18)
        except socket.timeout:
            if ended:
                break
            continue
        out.write(struct.pack('>I', len(frame)) + frame)
`;

export interface Capture {
  /** Ends it and puts the streams together. */
  end(): Promise<CapturedStream[]>;
}

/** One direction of a TCP connection that began after the capture did. */
export interface CapturedStream {
  /** `address:port > address:port` */
  readonly name: string;
  /** From its first byte on, as far as there is no gap. */
  readonly bytes: Buffer;
}

export async function capture(cable: Cable): Promise<Capture> {
  const { host } = cable;
  const file = host.path('capture');
  const child = host.spawn('python3', '-c', CAPTURE, cable.interface, file);
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  let complaint = '';
  child.stderr?.on('data', (chunk) => {
    complaint += chunk;
  });
  await new Promise<void>((resolve, reject) => {
    if (child.stdout) createInterface({ input: child.stdout }).once('line', () => resolve());
    void closed.then(() => reject(new Error(`The capture failed: ${complaint}`)));
  });
  return {
    async end() {
      child.kill('SIGTERM');
      await closed;
      return streams(await readFile(file));
    },
  };
}

function streams(file: Buffer): CapturedStream[] {
  const flows = new Map<string, { first: number; segments: Map<number, Buffer> }>();
  for (let at = 0; at < file.length; ) {
    const length = file.readUInt32BE(at);
    read(file.subarray(at + 4, at + 4 + length), flows);
    at += 4 + length;
  }
  return [...flows].map(([name, { first, segments }]) => {
    const chunks: Buffer[] = [];
    let next = first;
    const ordered = [...segments].map(([seq, bytes]) => ({ at: (seq - first) >>> 0, bytes }));
    ordered.sort((a, b) => a.at - b.at);
    for (const { at, bytes } of ordered) {
      const have = (next - first) >>> 0;
      if (at > have) break;
      const fresh = bytes.subarray(have - at);
      chunks.push(fresh);
      next = (next + fresh.length) >>> 0;
    }
    return { name, bytes: Buffer.concat(chunks) };
  });
}

/** One Ethernet frame of IPv4 with TCP; others are left out. */
function read(frame: Buffer, flows: Map<string, { first: number; segments: Map<number, Buffer> }>): void {
  if (frame.length < 54 || frame.readUInt16BE(12) !== 0x0800 || frame.readUInt8(23) !== 6) return;
  const ip = frame.subarray(14);
  const header = (ip.readUInt8(0) & 15) * 4;
  const size = ip.readUInt16BE(2);
  // A segment that the interface is to cut up (TSO) may say 0.
  const tcp = ip.subarray(header, size === 0 ? ip.length : size);
  const address = (offset: number): string => [...ip.subarray(offset, offset + 4)].join('.');
  const name = `${address(12)}:${tcp.readUInt16BE(0)} > ${address(16)}:${tcp.readUInt16BE(2)}`;
  const seq = tcp.readUInt32BE(4);
  const isSyn = (tcp.readUInt8(13) & 2) !== 0;
  if (isSyn) flows.set(name, { first: (seq + 1) >>> 0, segments: new Map() });
  const payload = tcp.subarray((tcp.readUInt8(12) >> 4) * 4);
  const flow = flows.get(name);
  const known = flow?.segments.get(seq);
  if (flow && payload.length > (known?.length ?? 0)) flow.segments.set(seq, payload);
}
