// Places the files of a version that its parent staged: `place-child.ts STAGING DESTINATION COUNT [whole]`.
import { place } from '../../../../src/peer/files/placement.ts';
import { stagedFile } from '../../../../src/peer/files/staged-file.ts';
import { HashPool } from '../../../../src/peer/hash-pool.ts';
import { HASH_WORKER } from './hash-worker-path.ts';
import { manyFiles } from './many-files.ts';

const [staging = '', destination = '', count = '0', whole] = process.argv.slice(2);
const { info } = manyFiles(Number(count));
const pool = new HashPool({ workerUrl: HASH_WORKER, size: 1 });
process.stdout.write('begin\n');
const placed = await place({
  info,
  files: [...info.files.keys()],
  stagedPath: (index) => stagedFile(staging, info.files[index]!),
  ...(whole === undefined ? {} : { staging }),
  destination,
  policy: 'fail',
  allowRisky: false,
  pool,
});
pool.dispose();
process.stdout.write(`placed ${placed.length}\n`);
