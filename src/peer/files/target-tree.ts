import { fileAt, type Info } from '../../bittorrent/metainfo.ts';
import { allOf } from '../../common/all-of.ts';
import { PeerwireError } from '../../common/errors.ts';
import type { SafeFolder } from './safe-folder.ts';

/** Folders visited at the same time; each keeps itself and the folders above it open. */
const FOLDERS_AT_ONCE = 8;

/** Path components of a file below the destination: `[name]` or `[share name, …path]`. */
export function targetPath(info: Info, fileIndex: number): readonly string[] {
  const file = fileAt(info, fileIndex);
  return info.single ? file.path : [info.name, ...file.path];
}

export interface TargetFile {
  readonly fileIndex: number;
  readonly name: string;
}

/** Files of a version as the folders of a destination see them. */
export interface TargetFolder {
  readonly folders: Map<string, TargetFolder>;
  readonly files: TargetFile[];
}

export function targetTree(info: Info, fileIndexes: Iterable<number>): TargetFolder {
  const root: TargetFolder = { folders: new Map(), files: [] };
  for (const fileIndex of fileIndexes) {
    let at = root;
    const path = targetPath(info, fileIndex);
    for (const name of path.slice(0, -1)) {
      const next = at.folders.get(name) ?? { folders: new Map(), files: [] };
      at.folders.set(name, next);
      at = next;
    }
    const name = path.at(-1);
    if (name !== undefined) at.files.push({ fileIndex, name });
  }
  return root;
}

/** All files of a folder and below. */
export function* filesBelow(folder: TargetFolder): Generator<TargetFile> {
  yield* folder.files;
  for (const inner of folder.folders.values()) yield* filesBelow(inner);
}

export interface TargetVisitor {
  /** Whether missing folders are made. */
  readonly create: boolean;
  /** `folder` is open during the call. */
  visit(folder: SafeFolder, files: readonly TargetFile[]): Promise<void>;
  /** A folder is missing (not with `create`), or `problem` is in its place. */
  absent(folder: TargetFolder, problem: PeerwireError | undefined): void;
}

/** Visits every folder that has files; a folder after those above it. Rejects with the first error, when all visits have ended. */
export async function visitTargets(tree: TargetFolder, root: SafeFolder, visitor: TargetVisitor): Promise<void> {
  let active = 0;
  let failed = false;

  const visitFolder = async (node: TargetFolder, folder: SafeFolder): Promise<void> => {
    if (node.files.length > 0) await visitor.visit(folder, node.files);
    const running: Promise<void>[] = [];
    for (const [name, inner] of node.folders) {
      if (failed) break;
      const visit = enter(name, inner, folder);
      running.push(visit);
      // Heard below, perhaps only after others have ended.
      const ended = visit.catch(() => undefined);
      // Past the limit a folder does its inner folders one by one, which cannot deadlock as waiting for a slot could.
      if (active >= FOLDERS_AT_ONCE) await ended;
    }
    await allOf(running);
  };

  const enter = async (name: string, node: TargetFolder, parent: SafeFolder): Promise<void> => {
    active++;
    try {
      const folder = await openFolder(name, node, parent);
      if (!folder) return;
      try {
        await visitFolder(node, folder);
      } finally {
        await folder.close();
      }
    } catch (error) {
      failed = true;
      throw error;
    } finally {
      active--;
    }
  };

  const openFolder = async (name: string, node: TargetFolder, parent: SafeFolder): Promise<SafeFolder | undefined> => {
    try {
      const folder = await parent.folder(name, { create: visitor.create });
      if (!folder) visitor.absent(node, undefined);
      return folder;
    } catch (error) {
      const inTheWay = error instanceof PeerwireError && (error.code === 'unsafe-path' || error.code === 'exists');
      if (!inTheWay || visitor.create) throw error;
      visitor.absent(node, error);
      return undefined;
    }
  };

  await visitFolder(tree, root);
}
