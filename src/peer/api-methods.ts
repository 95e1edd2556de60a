/** Names of the methods that may be called over a channel (common/rpc.ts), for each thing that is served over one. */
import type { PeerApi } from './api.ts';
import type { SecretStore } from './secret-store.ts';

export const PEER_API_METHODS = [
  'status',
  'setDeviceName',
  'setLimits',
  'networks',
  'createNetwork',
  'previewInvite',
  'joinNetwork',
  'leaveNetwork',
  'createInvite',
  'revokeMember',
  'setTrackers',
  'renameNetwork',
  'members',
  'setAdmin',
  'invites',
  'revokeInvite',
  'peers',
  'addPeerAddress',
  'shares',
  'awaitMetadata',
  'shareFiles',
  'readFile',
  'scan',
  'share',
  'setShareAccess',
  'unshare',
  'cancel',
  'plan',
  'download',
  'transfers',
  'pauseTransfer',
  'resumeTransfer',
  'pauseAll',
  'resumeAll',
  'setTransferLimits',
  'setTransferPriority',
  'recheckTransfer',
  'cancelTransfer',
  'removeTransfer',
  'diagnose',
] as const satisfies readonly PeerApiMethod[];

export type PeerApiMethod = Exclude<keyof PeerApi, 'onEvent'>;

type Nothing<T extends never> = T;
/** Fails to compile, naming the method, when the list above lacks one. */
export type MissingMethods = Nothing<Exclude<PeerApiMethod, (typeof PEER_API_METHODS)[number]>>;

export const SECRET_STORE_METHODS = ['get', 'set', 'delete'] as const satisfies readonly (keyof SecretStore)[];

/** What a peer's worker thread does for its owner, besides `PeerApi`: see peer-worker.ts. */
export interface PeerLifecycle {
  /** Resolves when the peer is up; rejects with the reason why it is not. */
  open(): Promise<void>;
  /** Resolves when everything is stored. The owner may terminate the worker then. */
  close(): Promise<void>;
}

export const PEER_LIFECYCLE_METHODS = ['open', 'close'] as const satisfies readonly (keyof PeerLifecycle)[];
