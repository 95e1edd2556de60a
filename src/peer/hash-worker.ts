// Worker thread entry of HashPool: hashes pieces in shared memory and handles small files at once, hashes files one after another.
import { lstatSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import { readParts, writeParts } from '../bittorrent/file-parts.ts';
import { stampOf } from '../bittorrent/file-stamp.ts';
import { toPeerwireError } from '../common/errors.ts';
import { leafHashes } from './files/block-hashes.ts';
import { finishStaged } from './files/finish-staged.ts';
import { hashRange } from './files/hash-range.ts';
import { hashSmall } from './files/hash-small.ts';
import { unpackParts } from './files/packed-parts.ts';
import { packRanges } from './files/packed-ranges.ts';
import { packFiles, SEPARATOR } from './files/packed-walk.ts';
import { type WalkedFile, walk } from './files/walk.ts';
import { writeIfRight } from './files/write-piece.ts';
import type { HashRequest, HashResponse } from './hash-messages.ts';

if (!parentPort) throw new Error('hash-worker runs as a worker thread only.');
const port = parentPort;

// Files wait for one another, so that only one read-ahead is under way; shared memory does not wait for files.
let files: Promise<void> = Promise.resolve();

/** Walks under way, by request. */
const walks = new Map<number, AbortController>();
/** Between two reports of a walk's progress, in ms. */
const PROGRESS_INTERVAL = 50;
/** Files of a walk that are handed over together. */
const FOUND_FILES = 256;

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
      respond({ type: 'parts', id: request.id, result: readParts(request.data, unpackParts(request.parts)) });
      return;
    case 'write':
      respond({ type: 'parts', id: request.id, result: writeParts(request.data, unpackParts(request.parts)) });
      return;
    case 'piece':
      respond({ type: 'piece', id: request.id, outcome: writeIfRight(request) });
      return;
    case 'finish':
      void finishStaged(request.files, request.mode).then((result) =>
        respond({ type: 'finish', id: request.id, result }),
      );
      return;
    case 'walk':
      void walkFolder(request);
      return;
    case 'changed':
      respond({ type: 'changed', id: request.id, positions: changed(request.paths, request.stamps) });
      return;
    case 'cancel':
      walks.get(request.id)?.abort();
      return;
    case 'small':
      files = files.then(async () => respond({ type: 'small', id: request.id, ...(await hashSmall(request)) }));
      return;
    case 'ranges':
      files = files.then(async () => {
        const results = [];
        for (const range of request.ranges) results.push(await hashRange(range, request.pieceLength));
        respond({ type: 'ranges', id: request.id, results: packRanges(results) });
      });
      return;
  }
});

async function walkFolder({ id, path, includeSecrets }: Extract<HashRequest, { type: 'walk' }>): Promise<void> {
  const abort = new AbortController();
  walks.set(id, abort);
  let told = 0;
  const onProgress = ({ files, size }: { files: number; size: number }): void => {
    const now = performance.now();
    if (now - told < PROGRESS_INTERVAL) return;
    told = now;
    respond({ type: 'progress', id, files, size });
  };
  let found: WalkedFile[] = [];
  const handOver = (root: string): void => {
    if (found.length > 0) respond({ type: 'found', id, files: packFiles(root, found) });
    found = [];
  };
  const onFile = (file: WalkedFile, root: string): void => {
    found.push(file);
    if (found.length >= FOUND_FILES) handOver(root);
  };
  try {
    const { files: _, ...result } = await walk(path, {
      includeSecrets,
      blocking: true,
      signal: abort.signal,
      onProgress,
      onFile,
    });
    handOver(result.root);
    respond({ type: 'walk', id, result });
  } catch (error) {
    const { code, message } = toPeerwireError(error);
    respond({ type: 'walk', id, result: { code, message } });
  } finally {
    walks.delete(id);
  }
}

function changed(paths: string, stamps: string): number[] {
  const positions: number[] = [];
  const expected = stamps.split(SEPARATOR);
  for (const [position, path] of paths.split(SEPARATOR).entries())
    if (stampNow(path) !== expected[position]) positions.push(position);
  return positions;
}

function stampNow(path: string): string | undefined {
  try {
    return stampOf(lstatSync(path, { bigint: true }));
  } catch {
    return undefined;
  }
}

function respond(response: HashResponse): void {
  port.postMessage(response);
}
