import * as vscode from 'vscode';
import type { PeerApi } from '../peer/api.ts';
import type { PeerwireExtensionApi } from './peerwire-extension-api.ts';

/**
 * What `activate()` returns when the extension is under development or test: the peer too, without the questions that
 * commands ask. Only who starts the editor can choose that, never a workspace or another extension.
 */
export interface DevelopmentApi extends PeerwireExtensionApi {
  /** Starts the peer on first use. */
  readonly peer: () => Promise<PeerApi>;
}

export function inDevelopment(context: vscode.ExtensionContext): boolean {
  return context.extensionMode !== vscode.ExtensionMode.Production;
}

export function withPeer(api: PeerwireExtensionApi, peer: () => Promise<PeerApi>): DevelopmentApi {
  return { ...api, peer };
}
