import { systemClock } from '../common/clock.ts';
import { type Disposable, DisposableList, toDisposable } from '../common/disposable.ts';
import { errorMessage } from '../common/errors.ts';
import type { InfoHash, NetworkId } from '../common/ids.ts';
import { Throttle } from '../common/throttle.ts';
import type { NetworkInfo, PeerApi, ShareInfo } from '../peer/api.ts';
import { buildFileTree, type FileTreeEntry, type FileTreeFolder } from './file-tree.ts';
import {
  fileItem,
  folderItem,
  hintItem,
  moreItem,
  networkItem,
  personItem,
  problemItem,
  shareItem,
} from './network-items.ts';
import { buildNetworks, type NetworkEntry, type Person } from './network-model.ts';
import type { PeerState } from './peer-state.ts';
import type { Translate } from './translate.ts';
import { type Hint, type NodeOf, rowId, type TreeNode } from './tree-nodes.ts';
import { TreeRows } from './tree-rows.ts';
import { vscode } from './vscode.ts';

/** Milliseconds of an empty network after which the view offers to find out why. */
const PATIENCE = 5_000;
/** Ages in rows are minutes: how often (ms) they are written anew while somebody looks. */
const AGE_PERIOD = 60_000;
/** Shares of one person that are shown. */
const MOST_SHARES = 500;
/** Milliseconds between two looks at what changed: transfers go on all the time. */
const UPDATE_PERIOD = 100;

/** Networks, the people in them, what they share, and what is inside. File lists are asked for when a row is opened. */
export class NetworkView implements vscode.TreeDataProvider<TreeNode>, Disposable {
  readonly view: vscode.TreeView<TreeNode>;
  readonly onDidChangeTreeData: vscode.Event<TreeNode[] | undefined>;
  readonly #owned = new DisposableList();
  readonly #changed = this.#owned.add(new vscode.EventEmitter<TreeNode[] | undefined>());
  readonly #state: PeerState;
  readonly #api: () => Promise<PeerApi>;
  readonly #t: Translate;
  /** By infohash: a version never changes. */
  readonly #files = new Map<InfoHash, FileTreeFolder>();
  /** Rows of shares whose file list could not be read. */
  readonly #unread = new Set<TreeNode>();
  readonly #rows: TreeRows<TreeNode>;
  /** Networks that have nobody in them, and whether that has been so for long. */
  readonly #alone = new Map<NetworkId, { long: boolean }>();

  constructor(state: PeerState, api: () => Promise<PeerApi>, t: Translate) {
    this.#state = state;
    this.#api = api;
    this.#t = t;
    this.onDidChangeTreeData = this.#changed.event;
    this.#rows = new TreeRows({
      rowsUnder: (row) => this.#rowsUnder(row),
      item: (row) => this.#item(row),
      redraw: (rows) => this.#changed.fire(rows),
    });
    this.view = this.#owned.add(
      vscode.window.createTreeView('peerwire.network', { treeDataProvider: this, canSelectMany: true }),
    );
    const update = this.#owned.add(new Throttle(systemClock, UPDATE_PERIOD, () => this.#rows.update()));
    this.#owned.add(
      state.onDidChange((part) => {
        if (part === 'shares') this.#askAgain();
        update.run();
      }),
    );
    this.#owned.add(systemClock.setInterval(() => this.view.visible && update.run(), AGE_PERIOD));
  }

  dispose(): void {
    this.#owned.dispose();
  }

  getTreeItem(node: TreeNode): vscode.TreeItem {
    return Object.assign(this.#item(node), { id: rowId(node) });
  }

  #item(node: TreeNode): vscode.TreeItem {
    const t = this.#t;
    switch (node.kind) {
      case 'network':
        return networkItem(t, node.entry.info);
      case 'hint':
        return hintItem(t, node.hint, node.network);
      case 'person':
        return personItem(t, node.person, Date.now());
      case 'share':
        return shareItem(t, node.share, this.#state.transfers.values(), Date.now());
      case 'more':
        return moreItem(t, node.count);
      case 'folder':
        return folderItem(t, node.share, node.folder);
      case 'file':
        return fileItem(t, node.share, node.file);
      case 'problem':
        return problemItem(t, node.message);
      case 'drop':
      case 'group':
      case 'transfer':
        throw new Error(`No ${node.kind} rows in this view.`);
    }
  }

  async getChildren(node?: TreeNode): Promise<TreeNode[]> {
    switch (node?.kind) {
      case 'share':
        return this.#inShare(node);
      case 'folder':
        return rows(node.share, node.folder.children);
      default:
        return this.#rows.under(node);
    }
  }

  #rowsUnder(node: TreeNode | undefined): TreeNode[] {
    switch (node?.kind) {
      case undefined:
        return buildNetworks({
          networks: this.#state.networks,
          members: this.#state.members,
          peers: this.#state.peers,
          shares: this.#state.shares,
          device: this.#state.status?.device,
        }).map((entry) => ({ kind: 'network', entry }));
      case 'network':
        return this.#inNetwork(node.entry);
      case 'person':
        return inPerson(node.person);
      default:
        return [];
    }
  }

  #inNetwork(entry: NetworkEntry): TreeNode[] {
    const { info, people } = entry;
    const others = people.filter((person) => !person.self);
    const isAlone = !others.some((person) => person.windows.length > 0);
    if (!isAlone) this.#alone.delete(info.network);
    const hints = isAlone ? this.#hints(info, others.length > 0) : [];
    return [
      ...hints.map((hint): TreeNode => ({ kind: 'hint', hint, network: info })),
      ...people.map((person): TreeNode => ({ kind: 'person', person })),
    ];
  }

  /** `hasMembers`: there are others, who are away; they get a moment to come back before anything is said. */
  #hints(info: NetworkInfo, hasMembers: boolean): Hint[] {
    const isImpatient = this.#impatient(info);
    if (hasMembers) return isImpatient ? ['empty', 'diagnose'] : [];
    return isImpatient ? ['empty', 'invite', 'diagnose'] : ['empty', 'invite'];
  }

  /** True once nobody has appeared for a while; until then, arranges to look again. */
  #impatient(network: NetworkInfo): boolean {
    const known = this.#alone.get(network.network);
    if (known !== undefined) return known.long || network.problem !== undefined;
    const alone = { long: false };
    this.#alone.set(network.network, alone);
    const timer = setTimeout(() => {
      this.#owned.release(pending);
      // Not by looking at the clock: a timer may fire a little early.
      alone.long = true;
      this.#rows.update();
    }, PATIENCE);
    const pending = this.#owned.add(toDisposable(() => clearTimeout(timer)));
    return network.problem !== undefined;
  }

  async #inShare(node: NodeOf<'share'>): Promise<TreeNode[]> {
    const { share } = node;
    let root = this.#files.get(share.infohash);
    if (root === undefined) {
      try {
        const api = await this.#api();
        root = buildFileTree(await api.shareFiles(share.share));
      } catch (error) {
        this.#unread.add(node);
        return [{ kind: 'problem', share, message: errorMessage(error) }];
      }
      this.#files.set(share.infohash, root);
    }
    return rows(share, root.children);
  }

  /** Forgets the files of shares that are gone; tries again where they could not be read. */
  #askAgain(): void {
    if (this.#files.size > 0) {
      const known = new Set(this.#state.shares.map((share) => share.infohash));
      for (const infohash of this.#files.keys()) if (!known.has(infohash)) this.#files.delete(infohash);
    }
    if (this.#unread.size === 0) return;
    const unread = [...this.#unread];
    this.#unread.clear();
    this.#changed.fire(unread);
  }
}

/** The newest, as many as the editor shows without delay. */
function inPerson(person: Person): TreeNode[] {
  const shown = person.shares.slice(0, MOST_SHARES).map((share): TreeNode => ({ kind: 'share', share }));
  const count = person.shares.length - shown.length;
  return count > 0 ? [...shown, { kind: 'more', person, count }] : shown;
}

function rows(share: ShareInfo, entries: readonly FileTreeEntry[]): TreeNode[] {
  return entries.map((entry) =>
    entry.kind === 'folder' ? { kind: 'folder', share, folder: entry } : { kind: 'file', share, file: entry },
  );
}
