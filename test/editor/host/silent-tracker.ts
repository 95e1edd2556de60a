import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A tracker that introduces nobody, but remembers who announced: for tests of what happens before anybody agreed to it. */
export interface SilentTracker {
  /** Announce URL. */
  readonly url: string;
  /** Ports of the peers that announced so far. */
  readonly ports: ReadonlySet<number>;
  dispose(): Promise<void>;
}

export async function startSilentTracker(): Promise<SilentTracker> {
  const ports = new Set<number>();
  const server = createServer((request, response) => {
    ports.add(Number(new URL(request.url ?? '/', 'http://x').searchParams.get('port')));
    response.end('d8:intervali1800e5:peers0:e');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/announce`,
    ports,
    dispose: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
