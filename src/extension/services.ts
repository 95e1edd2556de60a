import type * as vscode from 'vscode';
import type { PeerApi } from '../peer/api.ts';
import type { PeerState } from './peer-state.ts';
import type { Reporter } from './reporter.ts';
import type { Translate } from './translate.ts';

/** What commands work with; made once, by `activate`. */
export interface Services {
  readonly context: vscode.ExtensionContext;
  /** Starts the peer on first use. */
  readonly api: () => Promise<PeerApi>;
  readonly state: PeerState;
  readonly report: Reporter;
  readonly t: Translate;
}
