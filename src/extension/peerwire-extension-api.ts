import type * as vscode from 'vscode';

/**
 * What `activate()` returns to other extensions:
 *
 *   const peerwire = await vscode.extensions.getExtension<PeerwireExtensionApi>('peerwire.peerwire')?.activate();
 *   await peerwire?.share([uri]);
 */
export interface PeerwireExtensionApi {
  /** Raised when something here changes in a way that callers can notice. */
  readonly version: 1;
  /** Networks that this device is in. Starts nothing: empty until the peer runs. */
  networks(): readonly PeerwireNetwork[];
  /** Shares that are known now, own ones and those of others. Names and messages are other people's text. */
  shares(): readonly PeerwireShare[];
  /** Fires when `networks` or `shares` would answer differently. */
  readonly onDidChange: vscode.Event<void>;
  /**
   * Shares files or folders on disk as the user's own command does, with the same questions: nothing goes out that the
   * user did not confirm there. Resolves with what was shared, empty when the user turned back.
   */
  share(uris: readonly vscode.Uri[]): Promise<readonly PeerwireShare[]>;
}

export interface PeerwireNetwork {
  readonly id: string;
  readonly name: string;
  /** Members connected now. */
  readonly peers: number;
}

export interface PeerwireShare {
  readonly id: string;
  /** Network id. */
  readonly network: string;
  readonly name: string;
  readonly kind: 'file' | 'folder' | 'patch' | 'snippet';
  /** Bytes. */
  readonly size: number;
  readonly files: number;
  readonly ownerName: string;
  readonly own: boolean;
}
