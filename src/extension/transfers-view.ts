import { systemClock } from '../common/clock.ts';
import { type Disposable, DisposableList, toDisposable } from '../common/disposable.ts';
import { formatBytes } from '../common/format-bytes.ts';
import { Throttle } from '../common/throttle.ts';
import type { TransferInfo } from '../peer/api.ts';
import { formatRate } from './format.ts';
import { groupLabel, transferLabel } from './labels.ts';
import { iconUri, lines } from './network-items.ts';
import type { PeerState } from './peer-state.ts';
import { safeText } from './safe-text.ts';
import {
  abilitiesOf,
  describeSettings,
  describeTransfer,
  dots,
  groupName,
  groupOf,
  isDownloading,
  TRANSFER_GROUPS,
  type TransferGroup,
} from './transfer-model.ts';
import type { Translate } from './translate.ts';
import { type NodeOf, rowId } from './tree-nodes.ts';
import { TreeRows } from './tree-rows.ts';
import { vscode } from './vscode.ts';

type Row = NodeOf<'group'> | NodeOf<'transfer'>;

/** Milliseconds between two looks at what changed: progress comes faster than anyone reads. */
const UPDATE_PERIOD = 300;

/** Downloads and uploads, grouped by what they need from the user. */
export class TransfersView implements vscode.TreeDataProvider<Row>, Disposable {
  readonly onDidChangeTreeData: vscode.Event<Row[] | undefined>;
  readonly #owned = new DisposableList();
  readonly #changed = this.#owned.add(new vscode.EventEmitter<Row[] | undefined>());
  readonly #state: PeerState;
  readonly #t: Translate;
  readonly #rows: TreeRows<Row>;
  #progressDone: (() => void) | undefined;

  constructor(state: PeerState, t: Translate) {
    this.#state = state;
    this.#t = t;
    this.onDidChangeTreeData = this.#changed.event;
    this.#rows = new TreeRows({
      rowsUnder: (row) => this.#rowsUnder(row),
      item: (row) => this.#item(row),
      redraw: (rows) => this.#changed.fire(rows),
    });
    const update = this.#owned.add(new Throttle(systemClock, UPDATE_PERIOD, () => this.#rows.update()));
    this.#owned.add(
      vscode.window.createTreeView('peerwire.transfers', { treeDataProvider: this, canSelectMany: true }),
    );
    this.#owned.add(
      state.onDidChange((part) => {
        if (part !== 'transfers') return;
        this.#showProgress();
        update.run();
      }),
    );
    this.#owned.add(toDisposable(() => this.#progressDone?.()));
  }

  dispose(): void {
    this.#owned.dispose();
  }

  getTreeItem(row: Row): vscode.TreeItem {
    return Object.assign(this.#item(row), { id: rowId(row) });
  }

  #item(row: Row): vscode.TreeItem {
    if (row.kind === 'group') return this.#groupItem(row.group);
    const transfer = this.#state.transfers.get(row.id);
    return transfer === undefined ? new vscode.TreeItem('') : transferItem(this.#t, transfer);
  }

  getChildren(row?: Row): Row[] {
    return this.#rows.under(row);
  }

  #rowsUnder(row: Row | undefined): Row[] {
    if (row === undefined) {
      return TRANSFER_GROUPS.filter((group) => this.#inGroup(group).length > 0).map((group) => ({
        kind: 'group',
        group,
      }));
    }
    if (row.kind === 'transfer') return [];
    return this.#inGroup(row.group).map((transfer) => ({ kind: 'transfer', id: transfer.id }));
  }

  #inGroup(group: TransferGroup): TransferInfo[] {
    return [...this.#state.transfers.values()].filter((transfer) => groupOf(transfer) === group);
  }

  #groupItem(group: TransferGroup): vscode.TreeItem {
    const count = this.#inGroup(group).length;
    const item = new vscode.TreeItem(groupName(this.#t, group), vscode.TreeItemCollapsibleState.Expanded);
    item.description = String(count);
    item.tooltip = groupLabel(this.#t, group, count);
    item.contextValue = `group:${group}`;
    item.accessibilityInformation = { label: groupLabel(this.#t, group, count) };
    return item;
  }

  /** The editor's own progress bar on top of the view, for as long as something is being fetched. */
  #showProgress(): void {
    const busy = [...this.#state.transfers.values()].some(isDownloading);
    if (!busy) {
      this.#progressDone?.();
      this.#progressDone = undefined;
    } else if (this.#progressDone === undefined) {
      const location = { viewId: 'peerwire.transfers' };
      void vscode.window.withProgress({ location }, () => new Promise<void>((done) => (this.#progressDone = done)));
    }
  }
}

function transferItem(t: Translate, transfer: TransferInfo): vscode.TreeItem {
  const item = new vscode.TreeItem(safeText(transfer.name), vscode.TreeItemCollapsibleState.None);
  item.description = describeTransfer(t, transfer);
  item.tooltip = lines(
    safeText(transfer.name),
    item.description,
    transfer.size > 0 &&
      transfer.state !== 'done' &&
      t('{0} of {1}', formatBytes(transfer.done), formatBytes(transfer.size)),
    transfer.state !== 'downloading' && transfer.state !== 'done' && describeSettings(t, transfer),
    ...transfer.sources.map((source) =>
      dots(safeText(source.name), formatBytes(source.bytes), source.connected && formatRate(source.rate)),
    ),
    transfer.path !== undefined && safeText(transfer.path),
  );
  item.iconPath = transferIcon(transfer);
  item.resourceUri = iconUri(transfer.name);
  item.contextValue = ['transfer', ...abilitiesOf(transfer)].join(':');
  item.accessibilityInformation = { label: transferLabel(t, transfer) };
  return item;
}

function transferIcon(transfer: TransferInfo): vscode.ThemeIcon {
  if (transfer.direction === 'upload') return new vscode.ThemeIcon('cloud-upload');
  switch (groupOf(transfer)) {
    case 'active':
      return new vscode.ThemeIcon('cloud-download');
    case 'waiting':
      return new vscode.ThemeIcon(transfer.state === 'paused' ? 'debug-pause' : 'watch');
    case 'failed':
      return new vscode.ThemeIcon('error');
    case 'done':
      return new vscode.ThemeIcon('pass');
  }
}
