/** The rows of all views. Commands get them as arguments, so what a row stands for is told by its type, not by its view. */
import type { NetworkInfo, ShareInfo } from '../peer/api.ts';
import type { FileTreeFile, FileTreeFolder } from './file-tree.ts';
import type { NetworkEntry, Person } from './network-model.ts';
import type { TransferGroup } from './transfer-model.ts';

/** Rows that say why a network is empty, and what to do. */
export type Hint = 'empty' | 'invite' | 'diagnose';

export type TreeNode =
  | { readonly kind: 'network'; readonly entry: NetworkEntry }
  | { readonly kind: 'hint'; readonly hint: Hint; readonly network: NetworkInfo }
  | { readonly kind: 'person'; readonly person: Person }
  | { readonly kind: 'share'; readonly share: ShareInfo }
  /** Of the person's shares, so many are not shown. */
  | { readonly kind: 'more'; readonly person: Person; readonly count: number }
  | { readonly kind: 'folder'; readonly share: ShareInfo; readonly folder: FileTreeFolder }
  | { readonly kind: 'file'; readonly share: ShareInfo; readonly file: FileTreeFile }
  | { readonly kind: 'problem'; readonly share: ShareInfo; readonly message: string }
  /** Stands in the empty list of own shares, because a view without rows takes no drops. */
  | { readonly kind: 'drop' }
  | { readonly kind: 'group'; readonly group: TransferGroup }
  | { readonly kind: 'transfer'; readonly id: string };

export type NodeOf<K extends TreeNode['kind']> = Extract<TreeNode, { kind: K }>;

const KINDS: Readonly<Record<TreeNode['kind'], true>> = {
  network: true,
  hint: true,
  person: true,
  share: true,
  more: true,
  folder: true,
  file: true,
  problem: true,
  drop: true,
  group: true,
  transfer: true,
};

/** Unlike that of any other row of its view: a share is its owner's, who may claim the id of another's. */
export function rowId(row: TreeNode): string {
  switch (row.kind) {
    case 'network':
      return `network:${row.entry.info.network}`;
    case 'hint':
      return `hint:${row.network.network}:${row.hint}`;
    case 'person': {
      const { network, device, shares } = row.person;
      // The editor keeps a row that gets its first child collapsed; under another id it is a new row, and opens.
      return `person:${network}:${device}${shares.length === 0 ? ':empty' : ''}`;
    }
    case 'share':
    case 'problem':
      return `${row.kind}:${row.share.owner}:${row.share.share}`;
    case 'folder':
      return `folder:${row.share.owner}:${row.share.share}:${row.folder.path}`;
    case 'file':
      return `file:${row.share.owner}:${row.share.share}:${row.file.path}`;
    case 'more':
      return `more:${row.person.network}:${row.person.device}`;
    case 'drop':
      return 'drop';
    case 'group':
      return `group:${row.group}`;
    case 'transfer':
      return `transfer:${row.id}`;
  }
}

/**
 * The rows that a command was called on: the whole selection when the clicked row is part of it (the editor then passes
 * it as the second argument), else the row alone; none when it was called in another way.
 */
export function rowsOf<K extends TreeNode['kind']>(args: readonly unknown[], ...kinds: K[]): NodeOf<K>[] {
  const [row, selection] = args;
  const rows = Array.isArray(selection) && selection.length > 0 ? selection : [row];
  return rows.filter(isTreeNode).filter((node): node is NodeOf<K> => kinds.some((kind) => kind === node.kind));
}

function isTreeNode(value: unknown): value is TreeNode {
  return typeof value === 'object' && value !== null && 'kind' in value && String(value.kind) in KINDS;
}
