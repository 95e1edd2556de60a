/**
 * What Node's TLS alone can do here: one process writes a buffer again and again, the other throws away what it reads.
 * Run as `tls-pipe.ts send BYTES` (prints its port) or `tls-pipe.ts receive PORT BYTES STYLE` (prints seconds).
 */
import { readFileSync } from 'node:fs';
import tls from 'node:tls';

const [role, ...args] = process.argv.slice(2);
if (role === 'send') send(Number(args[0]), String(args[1]));
else receive(Number(args[0]), Number(args[1]), args[2] === 'onread');

function send(bytes: number, keyAndCert: string): void {
  const pem = readFileSync(keyAndCert, 'utf8');
  const chunk = Buffer.alloc(256 * 1024, 7);
  const server = tls.createServer({ key: pem, cert: pem, minVersion: 'TLSv1.3' }, (socket) => {
    server.close();
    let left = bytes;
    const more = (): void => {
      while (left > 0) {
        const part = left < chunk.length ? chunk.subarray(0, left) : chunk;
        left -= part.length;
        if (!socket.write(part)) return;
      }
      socket.end();
    };
    socket.on('drain', more);
    // The receiver's clock starts with its first byte out.
    socket.once('data', more);
    socket.on('error', () => {});
  });
  server.listen(0, '127.0.0.1', () => console.log((server.address() as { port: number }).port));
}

function receive(port: number, bytes: number, onread: boolean): void {
  let received = 0;
  let started = 0;
  const count = (size: number): boolean => {
    received += size;
    if (received === bytes) {
      console.log((performance.now() - started) / 1000);
      socket.destroy();
    }
    return true;
  };
  const socket = tls.connect({
    host: '127.0.0.1',
    port,
    rejectUnauthorized: false,
    ...(onread ? { onread: { buffer: Buffer.alloc(256 * 1024), callback: count } } : {}),
  });
  if (!onread) socket.on('data', (data: Buffer) => count(data.length));
  socket.once('secureConnect', () => {
    started = performance.now();
    socket.write('go');
  });
}
