import { type Disposable, DisposableList } from '../common/disposable.ts';
import type { PeerState } from './peer-state.ts';
import type { Translate } from './translate.ts';
import { vscode } from './vscode.ts';

const BADGE = '⇄';

/** Marks what this user shares in the explorer, and tells menus (`resourcePath in peerwire.sharedPaths`) about it. */
export class SharedDecorations implements vscode.FileDecorationProvider, Disposable {
  readonly onDidChangeFileDecorations: vscode.Event<vscode.Uri[]>;
  readonly #owned = new DisposableList();
  readonly #changed = this.#owned.add(new vscode.EventEmitter<vscode.Uri[]>());
  readonly #t: Translate;
  #shared = new Map<string, vscode.Uri>();

  constructor(state: PeerState, t: Translate) {
    this.#t = t;
    this.onDidChangeFileDecorations = this.#changed.event;
    this.#owned.add(state.onDidChange((part) => part === 'shares' && this.#update(state)));
    this.#owned.add(vscode.window.registerFileDecorationProvider(this));
  }

  dispose(): void {
    this.#owned.dispose();
  }

  provideFileDecoration(uri: vscode.Uri): vscode.FileDecoration | undefined {
    if (!this.#shared.has(uri.toString())) return undefined;
    return new vscode.FileDecoration(BADGE, this.#t('Shared with peers'));
  }

  #update(state: PeerState): void {
    const uris = state.shares
      .filter((share) => share.own && share.source !== undefined)
      .map((share) => vscode.Uri.file(share.source ?? ''));
    const before = this.#shared;
    this.#shared = new Map(uris.map((uri) => [uri.toString(), uri]));
    const changed = [
      ...uris.filter((uri) => !before.has(uri.toString())),
      ...[...before].filter(([key]) => !this.#shared.has(key)).map(([, uri]) => uri),
    ];
    if (changed.length === 0) return;
    this.#changed.fire(changed);
    // Menus compare the path as their side of a remote window writes it: both forms are listed.
    const paths = uris.flatMap((uri) => [uri.fsPath, uri.path]);
    void vscode.commands.executeCommand('setContext', 'peerwire.sharedPaths', paths);
  }
}
