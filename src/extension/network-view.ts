import { type Disposable, DisposableList, toDisposable } from '../common/disposable.ts';
import { errorMessage } from '../common/errors.ts';
import type { InfoHash, NetworkId } from '../common/ids.ts';
import type { NetworkInfo, PeerApi, ShareInfo } from '../peer/api.ts';
import { buildFileTree, type FileTreeEntry, type FileTreeFolder } from './file-tree.ts';
import { fileItem, folderItem, hintItem, networkItem, personItem, problemItem, shareItem } from './network-items.ts';
import { buildNetworks, type NetworkEntry } from './network-model.ts';
import type { PeerState } from './peer-state.ts';
import type { Translate } from './translate.ts';
import type { Hint, TreeNode } from './tree-nodes.ts';
import { vscode } from './vscode.ts';

/** Milliseconds of an empty network after which the view offers to find out why. */
const PATIENCE = 5_000;
/** Ages in rows are minutes: how often they are written anew while somebody looks. */
const AGE_PERIOD = 60_000;

/** Networks, the people in them, what they share, and what is inside. File lists are asked for when a row is opened. */
export class NetworkView implements vscode.TreeDataProvider<TreeNode>, Disposable {
  readonly view: vscode.TreeView<TreeNode>;
  readonly onDidChangeTreeData: vscode.Event<undefined>;
  readonly #owned = new DisposableList();
  readonly #changed = this.#owned.add(new vscode.EventEmitter<undefined>());
  readonly #state: PeerState;
  readonly #api: () => Promise<PeerApi>;
  readonly #t: Translate;
  /** By infohash: a version never changes. */
  readonly #files = new Map<InfoHash, FileTreeFolder>();
  /** Since when (by `performance.now`) each network has had nobody in it. */
  readonly #aloneSince = new Map<NetworkId, number>();

  constructor(state: PeerState, api: () => Promise<PeerApi>, t: Translate) {
    this.#state = state;
    this.#api = api;
    this.#t = t;
    this.onDidChangeTreeData = this.#changed.event;
    this.view = this.#owned.add(
      vscode.window.createTreeView('peerwire.network', { treeDataProvider: this, canSelectMany: true }),
    );
    this.#owned.add(state.onDidChange(() => this.#refresh()));
    const ages = setInterval(() => this.view.visible && this.#refresh(), AGE_PERIOD);
    this.#owned.add(toDisposable(() => clearInterval(ages)));
  }

  dispose(): void {
    this.#owned.dispose();
  }

  getTreeItem(node: TreeNode): vscode.TreeItem {
    const t = this.#t;
    switch (node.kind) {
      case 'network':
        return networkItem(t, node.entry.info);
      case 'hint':
        return hintItem(t, node.hint, node.network);
      case 'person':
        return personItem(t, node.person);
      case 'share':
        return shareItem(t, node.share, this.#state.transfers.values(), Date.now());
      case 'folder':
        return folderItem(t, node.share, node.folder);
      case 'file':
        return fileItem(t, node.share, node.file);
      case 'problem':
        return problemItem(t, node.share, node.message);
      case 'drop':
      case 'group':
      case 'transfer':
        throw new Error(`No ${node.kind} rows in this view.`);
    }
  }

  async getChildren(node?: TreeNode): Promise<TreeNode[]> {
    switch (node?.kind) {
      case undefined:
        return buildNetworks({
          networks: this.#state.networks,
          peers: this.#state.peers,
          shares: this.#state.shares,
          device: this.#state.status?.device,
        }).map((entry) => ({ kind: 'network', entry }));
      case 'network':
        return this.#inNetwork(node.entry);
      case 'person':
        return node.person.shares.map((share) => ({ kind: 'share', share }));
      case 'share':
        return this.#inShare(node.share);
      case 'folder':
        return rows(node.share, node.folder.children);
      default:
        return [];
    }
  }

  #inNetwork(entry: NetworkEntry): TreeNode[] {
    const { info, people } = entry;
    const others = people.filter((person) => !person.self);
    if (others.length > 0) {
      this.#aloneSince.delete(info.network);
      return people.map((person) => ({ kind: 'person', person }));
    }
    const hints: Hint[] = this.#impatient(info) ? ['empty', 'invite', 'diagnose'] : ['empty', 'invite'];
    return [
      ...hints.map((hint): TreeNode => ({ kind: 'hint', hint, network: info })),
      ...people.map((person): TreeNode => ({ kind: 'person', person })),
    ];
  }

  /** True once nobody has appeared for a while; until then, arranges to look again. */
  #impatient(network: NetworkInfo): boolean {
    const now = performance.now();
    const since = this.#aloneSince.get(network.network);
    if (since !== undefined) return now - since >= PATIENCE || network.problem !== undefined;
    this.#aloneSince.set(network.network, now);
    const timer = setTimeout(() => {
      this.#owned.release(pending);
      this.#refresh();
    }, PATIENCE);
    const pending = this.#owned.add(toDisposable(() => clearTimeout(timer)));
    return network.problem !== undefined;
  }

  async #inShare(share: ShareInfo): Promise<TreeNode[]> {
    let root = this.#files.get(share.infohash);
    if (root === undefined) {
      try {
        const api = await this.#api();
        root = buildFileTree(await api.shareFiles(share.share));
      } catch (error) {
        return [{ kind: 'problem', share, message: errorMessage(error) }];
      }
      this.#files.set(share.infohash, root);
    }
    return rows(share, root.children);
  }

  #refresh(): void {
    const known = new Set(this.#state.shares.map((share) => share.infohash));
    for (const infohash of this.#files.keys()) if (!known.has(infohash)) this.#files.delete(infohash);
    this.#changed.fire(undefined);
  }
}

function rows(share: ShareInfo, entries: readonly FileTreeEntry[]): TreeNode[] {
  return entries.map((entry) =>
    entry.kind === 'folder' ? { kind: 'folder', share, folder: entry } : { kind: 'file', share, file: entry },
  );
}
