import { writeFile } from 'node:fs/promises';

/** Zone 3 is the internet: Windows asks before it runs such a file, and Office opens it protected. */
const MARK = '[ZoneTransfer]\r\nZoneId=3\r\n';

/** Tells Windows that a file came from elsewhere (the "mark of the web", an alternate stream of the file); nothing on others. */
export async function markFromNetwork(path: string, platform: NodeJS.Platform = process.platform): Promise<void> {
  if (platform !== 'win32') return;
  // Only NTFS has streams: a disk without them cannot keep the mark, and the file is wanted all the same.
  await writeFile(`${path}:Zone.Identifier`, MARK).catch(() => undefined);
}
