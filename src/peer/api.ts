/**
 * The one door to the peer node. Everything that crosses it is JSON (and bytes, see common/json-bytes.ts), so the same
 * interface is spoken to a peer in the same thread, in a worker thread (extension) and in another process of the same home
 * (command line).
 *
 * Every method rejects with a `PeerwireError` (its code survives the crossing). Sizes are bytes, times are milliseconds
 * since the Unix epoch, rates are bytes per second.
 */
import type { TransferPriority } from '../bittorrent/bandwidth-manager.ts';
import type { Event } from '../common/event.ts';
import type { DeviceId, InfoHash, NetworkId, PeerInstance, ShareId } from '../common/ids.ts';

export type { TransferPriority };

export interface PeerApi {
  readonly onEvent: Event<PeerEvent>;

  status(): Promise<PeerStatus>;
  setDeviceName(name: string): Promise<void>;
  setLimits(limits: RateLimits): Promise<void>;

  networks(): Promise<NetworkInfo[]>;
  createNetwork(request: { name: string; trackers: string[] }): Promise<{ network: NetworkInfo; invite: string }>;
  /** Reads an invite without touching the network: what a person confirms before joining. */
  previewInvite(invite: string): Promise<InvitePreview>;
  joinNetwork(invite: string): Promise<NetworkInfo>;
  /** `network`: an id, or a name when unambiguous. */
  leaveNetwork(network: string): Promise<void>;
  createInvite(request: { network?: string; validFor?: number }): Promise<string>;
  /**
   * `undo`: of an admin that the creator revokes, what it said within the last day (`recent`, the default), `all` or `nothing` of
   * it counts no more; members whom it had revoked may come back then.
   */
  revokeMember(request: {
    network?: string;
    device: string;
    undo?: 'recent' | 'all' | 'nothing';
  }): Promise<RevokeResult>;
  /** For all members. Creator and admins only (`permission`), as are `renameNetwork` and the revoking of members. */
  setTrackers(request: { network: string; trackers: string[] }): Promise<void>;
  /** For all members. */
  renameNetwork(request: { network: string; name: string }): Promise<void>;
  /** Every device known to be, or to have been, a member; this one first. Absent: of all networks. */
  members(network?: string): Promise<MemberInfo[]>;
  /** Lets another member revoke members and change settings. Creator only (`permission`); taken back by revoking it. */
  setAdmin(request: { network?: string; device: string }): Promise<void>;
  /** Those made on this device, and those known to be withdrawn. Absent: of all networks. */
  invites(network?: string): Promise<InviteInfo[]>;
  /**
   * `invite`: an id, or the invite itself. It admits nobody from now on, nor those who came by it and whom no member has
   * confirmed. By who made it, and by creator and admins (`permission`).
   */
  revokeInvite(request: { network?: string; invite: string }): Promise<void>;

  /** Peers connected now. */
  peers(): Promise<PeerInfo[]>;
  /** Dials `host:port` in every network (or one) and remembers it. */
  addPeerAddress(address: string): Promise<void>;

  /** All shares known: own ones and, from catalogues, those of others, also of devices that are offline. */
  shares(): Promise<ShareInfo[]>;
  /** Resolves when it is known here what the share consists of; asks peers if need be. For shares of many files much less than `shareFiles`. */
  awaitMetadata(share: string): Promise<void>;
  /** The files of one version; asks peers for the metadata if need be. `share`: an id or an unambiguous name. */
  shareFiles(share: string): Promise<ShareFile[]>;
  /**
   * Bytes of one file of a share, wherever they are: in place, in a running download, in the cache of earlier reads, or at
   * others, from whom only the pieces that hold them are fetched (and, for reads that follow each other, some ahead). Every
   * byte is verified. Rejects with `no-sources`, `timeout`, `stale` (a version that is not the share's any more), `not-found`,
   * `usage`, `cancelled`, `disk-full`…
   */
  readFile(request: ReadRequest): Promise<ReadResult>;
  /** What sharing these paths would send out; nothing is published. Slow on big folders: `operation` makes it cancellable. */
  scan(request: { paths: string[]; includeSecrets?: boolean; operation?: string }): Promise<ScanSummary>;
  /** Hashes and publishes. Reports `progress` events under `operation`; `cancel(operation)` stops it. */
  share(request: ShareRequest): Promise<ShareInfo>;
  /** Limits an own share to these devices, or opens it to every member; who may not have it any more gets nothing further. */
  setShareAccess(request: ShareAccessRequest): Promise<ShareInfo>;
  unshare(share: string): Promise<void>;
  cancel(operation: string): Promise<void>;

  /** What a download would do in a destination: which files are missing, same, different, risky. No content moves. */
  plan(request: PlanRequest): Promise<DownloadPlan>;
  /** Starts (or resumes) a download and returns at once; progress comes as `transfers` events. */
  download(request: DownloadRequest): Promise<TransferInfo>;
  transfers(): Promise<TransferInfo[]>;
  pauseTransfer(transfer: string): Promise<void>;
  resumeTransfer(transfer: string): Promise<void>;
  pauseAll(): Promise<void>;
  resumeAll(): Promise<void>;
  /** Limits of one transfer, within those of the peer; kept with a download. The row of an upload has an upload limit only. */
  setTransferLimits(transfer: string, limits: RateLimits): Promise<void>;
  /** Which downloads come first where they compete: for the download limit, and for the memory that requests need. */
  setTransferPriority(transfer: string, priority: TransferPriority): Promise<void>;
  /**
   * Hashes what is on disk of a download that does not run, which is `checking` meanwhile. Of one that is done: damaged or
   * edited files are seeded no longer, intact ones are (again). Of a paused or failed one: damaged pieces are fetched again
   * when it goes on. Pausing it, or `cancel(operation)`, ends the check. Rejects with 'busy', 'cancelled', 'not-found'.
   */
  recheckTransfer(transfer: string, options?: { operation?: string }): Promise<RecheckResult>;
  /**
   * Stops and forgets a download; staged bytes are deleted, placed files stay. Of one that is done, and being rechecked, it
   * ends the check only.
   */
  cancelTransfer(transfer: string): Promise<void>;
  /** Removes a finished or failed row, or stops seeding what was fetched. */
  removeTransfer(transfer: string): Promise<void>;

  diagnose(): Promise<DiagnosisLine[]>;
}

/** Names a share: its id, and its owner, since a member may claim the id of another's. */
export function shareKey({ owner, share }: Pick<ShareInfo, 'owner' | 'share'>): string {
  return `${owner}/${share}`;
}

/** Most entries, changed and removed together, that one `shares` event lists. */
export const MAX_LISTED_CHANGES = 256;

/**
 * The shares changed. With lists: what `shares()` says differently since the `shares` event before, so that they keep up to date
 * an answer that was asked for after subscribing. Without: ask `shares()` again.
 */
export interface SharesEvent {
  readonly event: 'shares';
  /** As they are now, known before or not. */
  readonly changed?: readonly ShareInfo[];
  readonly removed?: readonly Pick<ShareInfo, 'owner' | 'share'>[];
}

/** Changes. All but `shares` with lists, `progress` and `notice` mean: ask again if you show this. */
export type PeerEvent =
  | { readonly event: 'networks' }
  | { readonly event: 'peers'; readonly peers: readonly PeerInfo[] }
  | SharesEvent
  | { readonly event: 'transfer'; readonly transfer: TransferInfo }
  | { readonly event: 'transfer-removed'; readonly id: string }
  | {
      readonly event: 'progress';
      readonly operation: string;
      readonly phase: 'scanning' | 'hashing';
      readonly done: number;
      readonly total: number;
    }
  | { readonly event: 'notice'; readonly level: 'info' | 'warning' | 'error'; readonly message: string };

export interface PeerStatus {
  readonly device: DeviceId;
  readonly name: string;
  readonly instance: PeerInstance;
  /** A few words to compare aloud; made from the device id. */
  readonly words: readonly string[];
  /** Listening port, or undefined when outbound only. */
  readonly port: number | undefined;
  readonly limits: RateLimits;
}

export interface RateLimits {
  /** Bytes per second; 0 means unlimited. */
  readonly upload: number;
  readonly download: number;
}

export interface NetworkInfo {
  readonly network: NetworkId;
  readonly name: string;
  readonly trackers: readonly string[];
  /** True when this device holds the root key: it may make admins, and revoke them. */
  readonly creator: boolean;
  /** The creator, or made an admin by it: may revoke members and invites, and change name and trackers. */
  readonly admin: boolean;
  /** Members connected now, other windows of this device not counted. */
  readonly peers: number;
  readonly state: 'connected' | 'looking' | 'offline';
  /** Why nobody is connected, as far as is known, for the status text: this device is not welcome, or no tracker helps. */
  readonly problem?: string;
}

export interface InvitePreview {
  readonly network: NetworkId;
  readonly name: string;
  readonly inviter: DeviceId;
  readonly inviterName: string;
  readonly inviterWords: readonly string[];
  readonly trackers: readonly string[];
  readonly expires: number;
  readonly expired: boolean;
  readonly alreadyJoined: boolean;
}

export interface PeerInfo {
  readonly device: DeviceId;
  readonly instance: PeerInstance;
  readonly name: string;
  readonly words: readonly string[];
  readonly network: NetworkId;
  readonly address: string;
  /** `relay`: another member passes on what we say to each other, encrypted end to end; `address` is empty then. */
  readonly via: 'direct' | 'relay';
  readonly since: number;
}

export interface MemberInfo {
  readonly network: NetworkId;
  readonly device: DeviceId;
  readonly name: string;
  readonly words: readonly string[];
  /** This device. */
  readonly self: boolean;
  readonly creator: boolean;
  /** The creator, or made an admin by it. */
  readonly admin: boolean;
  /** Absent for the creator, and when unknown. */
  readonly inviter?: DeviceId;
  readonly inviterName?: string;
  readonly joined?: number;
  readonly state: 'connected' | 'away' | 'revoked';
  /** Of a revoked one: when, by the clock of who did it; and the admin who did, absent for the creator. */
  readonly removed?: number;
  readonly removedBy?: DeviceId;
  readonly removedByName?: string;
  /** When it was connected to this device last; absent when never. */
  readonly lastSeen?: number;
  /** How it is connected now. */
  readonly via?: 'direct' | 'relay';
}

export interface RevokeResult {
  /** Revoked by the admin that is revoked now, and members again by that. */
  readonly back: readonly { readonly device: DeviceId; readonly name: string }[];
}

export interface InviteInfo {
  readonly network: NetworkId;
  /** 64 hex digits. */
  readonly invite: string;
  readonly created: number;
  readonly expires: number;
  readonly state: 'valid' | 'expired' | 'revoked';
  /** The invite itself, as long as it is valid and known here. Whoever has it can join. */
  readonly text?: string;
  readonly inviter: DeviceId;
  readonly inviterName: string;
}

export type ShareKind = 'file' | 'folder' | 'patch' | 'snippet';

export interface ShareInfo {
  readonly share: ShareId;
  readonly infohash: InfoHash;
  readonly network: NetworkId;
  readonly name: string;
  readonly kind: ShareKind;
  readonly size: number;
  readonly files: number;
  readonly message?: string;
  /** Where it lay in the owner's workspace, as `/`-separated path of safe components: a hint for placing it. */
  readonly path?: string;
  readonly version: number;
  /** When this version was published. */
  readonly time: number;
  readonly owner: DeviceId;
  readonly ownerName: string;
  readonly own: boolean;
  /** Connected peers that have pieces of it, this one not counted. */
  readonly sources: number;
  /** Devices this share is limited to; absent: every member. */
  readonly to?: readonly DeviceId[];
  /** Own shares: `hashing` while a change is being published, `missing` when the source file is gone. */
  readonly state?: 'ready' | 'hashing' | 'missing';
  /** Own shares: absolute path of the source on this machine. */
  readonly source?: string;
}

export interface ShareFile {
  /** `/`-separated, relative to the share; for a file share its name. */
  readonly path: string;
  readonly size: number;
  /** Merkle root in hex; absent for empty files. */
  readonly root?: string;
}

/** Bytes of one `readFile` at most. */
export const MAX_READ = 1024 * 1024;

export interface ReadRequest {
  /** An id or an unambiguous name. */
  readonly share: string;
  /** As in `ShareFile`; may be left out for a share that is one file. */
  readonly path?: string;
  /** Bytes from the start of the file. */
  readonly offset: number;
  /** 0 to `MAX_READ` bytes; what lies behind the file's end is left out. */
  readonly length: number;
  /** Only this version: `stale` when the share is another one by now. Several reads of one file need it. */
  readonly infohash?: InfoHash;
  /** Bytes behind the range that will be read next, up to 16 MiB: 0 reads nothing ahead. Absent: guessed. */
  readonly ahead?: number;
  /** Milliseconds without a source, or without a byte from one, after which it fails; default 20,000. */
  readonly wait?: number;
  /** For `cancel`. */
  readonly operation?: string;
}

export interface ReadResult {
  readonly infohash: InfoHash;
  /** Bytes of the whole file. */
  readonly size: number;
  /** Shorter than asked for only at the end of the file. */
  readonly data: Uint8Array;
}

export interface ScanSummary {
  readonly files: number;
  readonly size: number;
  /** Left out by ignore rules; folders count as one. */
  readonly ignored: number;
  /** Relative paths left out because they look like secrets. */
  readonly secrets: readonly string[];
  /** Relative paths left out for other reasons: links, special files, unreadable, names that other systems refuse. */
  readonly skipped: readonly { readonly path: string; readonly reason: string }[];
}

export interface ShareRequest {
  readonly path: string;
  readonly network?: string;
  readonly name?: string;
  readonly message?: string;
  /** Workspace-relative location, see `ShareInfo.path`. */
  readonly relativePath?: string;
  readonly to?: readonly string[];
  readonly includeSecrets?: boolean;
  readonly operation?: string;
}

export interface ShareAccessRequest {
  /** An id or an unambiguous name of an own share. */
  readonly share: string;
  /** Devices, as in `ShareRequest.to`; absent: every member. */
  readonly to?: readonly string[];
}

export interface PlanRequest {
  readonly share: string;
  readonly destination: string;
  /** Only this `/`-separated path of a folder share. */
  readonly file?: string;
  /** Only files in this state are listed: a share may have very many. */
  readonly list?: PlannedFile['state'];
}

export interface DownloadPlan {
  readonly share: ShareInfo;
  /** Absolute path where the file or folder will be. */
  readonly target: string;
  /** Those that were to be listed; the counts are of all. */
  readonly files: readonly PlannedFile[];
  readonly missing: number;
  readonly same: number;
  readonly different: number;
  /** Bytes that must cross the network. */
  readonly fetchSize: number;
  /** Relative paths that editors or shells execute (`.vscode/`, `.envrc`, git hooks…): ask before placing. */
  readonly risky: readonly string[];
}

export interface PlannedFile {
  readonly path: string;
  readonly size: number;
  readonly state: 'missing' | 'same' | 'different';
}

export type ConflictPolicy = 'fail' | 'skip' | 'overwrite' | 'keep-both';

export interface DownloadRequest {
  readonly share: string;
  /** Folder that receives the share under its own name. Created if missing. */
  readonly destination: string;
  /** Only this file of a folder share. */
  readonly file?: string;
  readonly onConflict: ConflictPolicy;
  /** Required when the plan lists risky files: the user confirmed them. */
  readonly allowRisky?: boolean;
  /** As by `setTransferLimits` and `setTransferPriority`; absent: as they are, at first no limits and normal. */
  readonly limits?: RateLimits;
  readonly priority?: TransferPriority;
}

export type TransferState =
  | 'waiting'
  | 'metadata'
  /** Content that is on this disk already is compared, copied or hashed: `done` counts what was looked at so far. */
  | 'checking'
  | 'downloading'
  | 'placing'
  | 'paused'
  | 'done'
  | 'failed'
  | 'uploading';

/** What `recheckTransfer` found. */
export interface RecheckResult {
  /** Files looked at: those that were placed, or of which pieces were staged. */
  readonly files: number;
  /** Of those that are not, or not all, as they were received: paths in the share, `/`-separated. */
  readonly changed: readonly string[];
}

export interface TransferInfo {
  readonly id: string;
  readonly direction: 'download' | 'upload';
  readonly share: ShareId;
  readonly infohash: InfoHash;
  readonly network: NetworkId;
  readonly name: string;
  readonly state: TransferState;
  /** Bytes wanted; 0 until the metadata is known. */
  readonly size: number;
  /** Verified bytes that we have, including those that did not have to be fetched. */
  readonly done: number;
  /** Payload bytes that crossed the network in this transfer, over all its runs. */
  readonly fetched: number;
  /** Bytes per second over the last few seconds. */
  readonly rate: number;
  /** Milliseconds left at this rate. */
  readonly eta?: number;
  readonly sources: readonly SourceInfo[];
  /** Absolute path of the result (downloads). */
  readonly path?: string;
  /** Milliseconds from the start of this run to the file in place. */
  readonly elapsed?: number;
  readonly seeding: boolean;
  /** `checking` because of `recheckTransfer`: it does not run. */
  readonly rechecking?: true;
  /** Its own, within those of the peer. */
  readonly limits: RateLimits;
  readonly priority: TransferPriority;
  readonly error?: { readonly code: string; readonly message: string };
}

export interface SourceInfo {
  readonly device: DeviceId;
  readonly name: string;
  /** Verified payload bytes received from (download) or sent to (upload) this peer. */
  readonly bytes: number;
  readonly rate: number;
  readonly connected: boolean;
}

export interface DiagnosisLine {
  readonly check: string;
  readonly ok: boolean;
  readonly detail: string;
  readonly fix?: string;
  /** For a terminal of this machine, when the fix has one: to be shown and copied, never to be run by us. */
  readonly command?: string;
}
