// Writes state for as long as it lives: `state-child.ts DIRECTORY`. Says a number when everything up to it is durable.
import { join } from 'node:path';
import { PieceJournal } from '../../../../src/peer/piece-journal.ts';
import { StateStore } from '../../../../src/peer/state-store.ts';

const [dir = ''] = process.argv.slice(2);
const store = new StateStore(dir);
const journal = await PieceJournal.open(join(dir, 'journal'), 100_000);
for (let round = journal.count / 10; ; round++) {
  for (let piece = round * 10; piece < (round + 1) * 10; piece++) journal.add(piece);
  await journal.flush();
  // Sizes that differ, so that a mix of two values would show.
  await store.writeJson('state.json', { round, filler: 'x'.repeat((round * 7919) % 20_000) });
  process.stdout.write(`${round}\n`);
}
