import { type Disposable, DisposableList } from '../common/disposable.ts';
import { formatBytes } from '../common/format-bytes.ts';
import type { ShareInfo } from '../peer/api.ts';
import { countFiles, countPeers } from './format.ts';
import { ownShareLabel, ownShareState } from './labels.ts';
import { iconUri, lines, shareIcon } from './network-items.ts';
import type { PeerState } from './peer-state.ts';
import { safeText } from './safe-text.ts';
import { audienceOf, namesOf } from './share-access.ts';
import { capitalize, dots } from './transfer-model.ts';
import type { Translate } from './translate.ts';
import { type NodeOf, rowId, type TreeNode } from './tree-nodes.ts';
import { TreeRows } from './tree-rows.ts';
import { vscode } from './vscode.ts';

type Row = NodeOf<'share'> | NodeOf<'drop'>;

/** What this user shares. Files and folders dropped here are shared. */
export class SharesView implements vscode.TreeDataProvider<Row>, Disposable {
  readonly onDidChangeTreeData: vscode.Event<Row[] | undefined>;
  readonly #owned = new DisposableList();
  readonly #changed = this.#owned.add(new vscode.EventEmitter<Row[] | undefined>());
  readonly #state: PeerState;
  readonly #t: Translate;
  readonly #rows: TreeRows<Row>;

  constructor(state: PeerState, drops: vscode.TreeDragAndDropController<TreeNode>, t: Translate) {
    this.#state = state;
    this.#t = t;
    this.onDidChangeTreeData = this.#changed.event;
    this.#rows = new TreeRows({
      rowsUnder: (row) => this.#rowsUnder(row),
      item: (row) => this.#item(row),
      redraw: (rows) => this.#changed.fire(rows),
    });
    this.#owned.add(
      vscode.window.createTreeView('peerwire.shares', {
        treeDataProvider: this,
        dragAndDropController: drops,
        canSelectMany: true,
      }),
    );
    this.#owned.add(
      state.onDidChange((part) => {
        if (part === 'shares' || part === 'networks' || part === 'members') this.#rows.update();
      }),
    );
  }

  dispose(): void {
    this.#owned.dispose();
  }

  getTreeItem(row: Row): vscode.TreeItem {
    return Object.assign(this.#item(row), { id: rowId(row) });
  }

  #item(row: Row): vscode.TreeItem {
    return row.kind === 'drop' ? this.#dropItem() : this.#shareItem(row.share);
  }

  #shareItem(share: ShareInfo): vscode.TreeItem {
    const t = this.#t;
    const item = new vscode.TreeItem(safeText(share.name), vscode.TreeItemCollapsibleState.None);
    const audience = audienceOf(share, this.#state.members);
    item.description = dots(
      capitalize(ownShareState(t, share) ?? ''),
      formatBytes(share.size),
      share.kind === 'folder' && countFiles(t, share.files),
      this.#state.networks.length > 1 && this.#networkName(share),
      audience !== undefined && t('only {0}', safeText(namesOf(t, audience))),
      share.sources > 0 && (share.sources === 1 ? t('1 peer has it') : t('{0} have it', countPeers(t, share.sources))),
    );
    item.tooltip = lines(
      safeText(share.name),
      share.message !== undefined && safeText(share.message),
      share.source !== undefined && safeText(share.source),
      t('Shared in {0}', this.#networkName(share)),
      audience === undefined
        ? t('Every member can fetch it.')
        : t('Only for {0}', audience.map(({ name }) => safeText(name)).join(', ')),
      share.state === 'missing' && t('The source was moved or deleted: nobody can fetch it until it is back.'),
    );
    item.iconPath = share.state === 'missing' ? new vscode.ThemeIcon('warning') : shareIcon(share);
    if (share.kind === 'file' && share.state !== 'missing') item.resourceUri = iconUri(share.name);
    item.contextValue = `ownShare:${share.kind}`;
    item.accessibilityInformation = { label: ownShareLabel(t, share, audience && namesOf(t, audience)) };
    if (share.kind === 'file' && share.source !== undefined && share.state !== 'missing') {
      item.command = { command: 'vscode.open', title: t('Open'), arguments: [vscode.Uri.file(share.source)] };
    }
    return item;
  }

  #dropItem(): vscode.TreeItem {
    const t = this.#t;
    const item = new vscode.TreeItem(t('Share Files or Folders…'), vscode.TreeItemCollapsibleState.None);
    item.description = t('or drop them here');
    item.tooltip = t('Or choose “Share with Peers” in the menu of a file or folder in the explorer.');
    item.iconPath = new vscode.ThemeIcon('add');
    item.command = { command: 'peerwire.shareFiles', title: t('Share Files or Folders…') };
    item.accessibilityInformation = { label: `${t('Share Files or Folders…')}, ${item.description}` };
    return item;
  }

  getChildren(row?: Row): Row[] {
    return this.#rows.under(row);
  }

  #rowsUnder(row: Row | undefined): Row[] {
    if (row !== undefined) return [];
    const own = this.#state.shares.filter((share) => share.own).sort((a, b) => a.name.localeCompare(b.name));
    if (own.length === 0) return this.#state.networks.length > 0 ? [{ kind: 'drop' }] : [];
    return own.map((share) => ({ kind: 'share', share }));
  }

  #networkName(share: ShareInfo): string {
    const network = this.#state.networks.find((candidate) => candidate.network === share.network);
    return safeText(network?.name ?? share.network);
  }
}
