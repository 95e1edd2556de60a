// Worker thread entry of HashPool: hashes pieces in shared memory and handles small files at once, hashes files one after another.
import { parentPort } from 'node:worker_threads';
import { readParts, writeParts } from '../bittorrent/file-parts.ts';
import { leafHashes } from './files/block-hashes.ts';
import { gather } from './files/gather.ts';
import { hashRange } from './files/hash-range.ts';
import { writeIfRight } from './files/write-piece.ts';
import type { HashRequest, HashResponse } from './hash-messages.ts';

if (!parentPort) throw new Error('hash-worker runs as a worker thread only.');
const port = parentPort;

// Files wait for one another, so that only one read-ahead is under way; shared memory does not wait for files.
let files: Promise<void> = Promise.resolve();

port.on('message', (request: HashRequest) => {
  switch (request.type) {
    case 'blocks':
      respond({
        type: 'blocks',
        id: request.id,
        leaves: leafHashes(new Uint8Array(request.data, request.offset, request.length)),
      });
      return;
    case 'read':
      respond({ type: 'parts', id: request.id, failures: readParts(request.data, request.parts) });
      return;
    case 'write':
      respond({ type: 'parts', id: request.id, failures: writeParts(request.data, request.parts) });
      return;
    case 'piece':
      respond({ type: 'piece', id: request.id, outcome: writeIfRight(request) });
      return;
    case 'gather':
      void gather(request.files, request.mode).then((result) => respond({ type: 'gather', id: request.id, result }));
      return;
    case 'ranges':
      files = files.then(async () => {
        const results = [];
        for (const range of request.ranges) results.push(await hashRange(range, request.pieceLength));
        respond({ type: 'ranges', id: request.id, results });
      });
      return;
  }
});

function respond(response: HashResponse): void {
  port.postMessage(response);
}
