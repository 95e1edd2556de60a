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
  folder: true,
  file: true,
  problem: true,
  drop: true,
  group: true,
  transfer: true,
};

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
