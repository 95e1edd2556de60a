import type { PeerApi } from './api.ts';

/** The methods of `PeerApi` that may be called over a channel: all of them. */
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
  'peers',
  'addPeerAddress',
  'shares',
  'shareFiles',
  'scan',
  'share',
  'unshare',
  'cancel',
  'plan',
  'download',
  'transfers',
  'pauseTransfer',
  'resumeTransfer',
  'cancelTransfer',
  'removeTransfer',
  'diagnose',
] as const satisfies readonly PeerApiMethod[];

export type PeerApiMethod = Exclude<keyof PeerApi, 'onEvent'>;

type Nothing<T extends never> = T;
/** Fails to compile, naming the method, when the list above lacks one. */
export type MissingMethods = Nothing<Exclude<PeerApiMethod, (typeof PEER_API_METHODS)[number]>>;
