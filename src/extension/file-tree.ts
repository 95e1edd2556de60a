/** Folders and files of one share, from its flat list of paths. */
import type { ShareFile } from '../peer/api.ts';

export interface FileTreeFolder {
  readonly kind: 'folder';
  readonly name: string;
  /** `/`-separated, relative to the share; empty for the root. */
  readonly path: string;
  /** All files below. */
  readonly files: number;
  readonly size: number;
  /** Folders first, then files, each by name. */
  readonly children: readonly FileTreeEntry[];
}

export interface FileTreeFile {
  readonly kind: 'file';
  readonly name: string;
  readonly path: string;
  readonly size: number;
}

export type FileTreeEntry = FileTreeFolder | FileTreeFile;

interface Draft {
  readonly folders: Map<string, Draft>;
  readonly files: FileTreeFile[];
}

export function buildFileTree(files: readonly ShareFile[]): FileTreeFolder {
  // One for all: localeCompare would make one a call. And only now: the first one takes a while to load its tables.
  const collator = new Intl.Collator(undefined, { numeric: true });
  const byName: Order = (a, b) => collator.compare(a.name, b.name);
  const root: Draft = { folders: new Map(), files: [] };
  for (const file of files) {
    const parts = file.path.split('/');
    const name = parts.pop() ?? '';
    let draft = root;
    for (const part of parts) {
      let next = draft.folders.get(part);
      if (next === undefined) {
        next = { folders: new Map(), files: [] };
        draft.folders.set(part, next);
      }
      draft = next;
    }
    draft.files.push({ kind: 'file', name, path: file.path, size: file.size });
  }
  return finish(root, '', '', byName);
}

type Order = (a: { name: string }, b: { name: string }) => number;

function finish(draft: Draft, name: string, path: string, byName: Order): FileTreeFolder {
  const folders = [...draft.folders]
    .map(([child, inner]) => finish(inner, child, path === '' ? child : `${path}/${child}`, byName))
    .sort(byName);
  const files = draft.files.sort(byName);
  return {
    kind: 'folder',
    name,
    path,
    files: files.length + folders.reduce((sum, folder) => sum + folder.files, 0),
    size: files.reduce((sum, file) => sum + file.size, 0) + folders.reduce((sum, folder) => sum + folder.size, 0),
    children: [...folders, ...files],
  };
}
