import { resolve } from 'node:path';
import { checkComponent } from '../bittorrent/safe-path.ts';
import { PeerwireError } from '../common/errors.ts';
import type { Event } from '../common/event.ts';
import { type DeviceId, parseDeviceId } from '../common/ids.ts';
import { lanInterfaces } from '../transport/network-interfaces.ts';
import type { PortMapper } from '../transport/port-mapper.ts';
import type {
  DiagnosisLine,
  DownloadPlan,
  DownloadRequest,
  InviteInfo,
  InvitePreview,
  MemberInfo,
  NetworkInfo,
  PeerApi,
  PeerEvent,
  PeerInfo,
  PeerStatus,
  PlanRequest,
  RateLimits,
  ReadRequest,
  ReadResult,
  RecheckResult,
  RevokeResult,
  ScanSummary,
  ShareAccessRequest,
  ShareFile,
  ShareInfo,
  ShareRequest,
  TransferInfo,
  TransferPriority,
} from './api.ts';
import { diagnose, type TakenPort } from './diagnosis/diagnose.ts';
import { findFirewall } from './diagnosis/firewall.ts';
import { findPlace } from './diagnosis/place.ts';
import { planFiles } from './files/plan.ts';
import { inviteInfos, memberInfos } from './member-list.ts';
import { MAX_DEVICE_NAME } from './network/catalogue.ts';
import type { RunningNetwork } from './networks.ts';
import { Operations } from './operations.ts';
import type { PeerParts, PeerPartsOptions } from './peer-parts.ts';
import { changed } from './share-index.ts';
import { checkLimits, checkPriority, DEFAULT_SETTINGS } from './transfer-settings.ts';
import { MAX_NAME } from './trust/certificates.ts';
import { UNDOS } from './trust/membership.ts';
import { wordsFor } from './trust/words.ts';
import type { Version } from './version-store.ts';

/** Bytes of a download that needs a hashing thread. */
const MUCH = 8 * 1024 * 1024;

export interface PeerNodeOptions
  extends Pick<PeerPartsOptions, 'self' | 'pool' | 'cache' | 'networks' | 'shares' | 'clock'> {
  readonly name: { get(): string; set(name: string): Promise<void> };
  readonly listenPort: () => number | undefined;
  readonly takenPort?: () => TakenPort | undefined;
  /** Absent when the router is not to be asked for anything. */
  readonly mapper?: () => PortMapper | undefined;
}

/** The peer, as its interface has it: hands each call to the part that owns it. */
export class PeerNode implements PeerApi {
  readonly #options: PeerNodeOptions;
  readonly #parts: PeerParts;
  readonly #operations = new Operations();
  readonly onEvent: Event<PeerEvent>;

  constructor(options: PeerNodeOptions, parts: PeerParts) {
    this.#options = options;
    this.#parts = parts;
    this.onEvent = parts.onEvent;
  }

  close(): Promise<void> {
    this.#operations.close();
    return this.#parts.close();
  }

  async status(): Promise<PeerStatus> {
    const { self, name, listenPort } = this.#options;
    return {
      device: self.device,
      name: name.get(),
      instance: self.instance,
      words: wordsFor(self.device),
      port: listenPort(),
      limits: this.#parts.hub.limits,
    };
  }

  async setDeviceName(name: string): Promise<void> {
    const trimmed = checkName('device', name, MAX_DEVICE_NAME);
    await this.#options.name.set(trimmed);
    for (const { node } of this.#options.networks.list()) node.setDeviceName(trimmed);
  }

  async setLimits(limits: RateLimits): Promise<void> {
    this.#parts.hub.setLimits(checkLimits(limits));
  }

  async networks(): Promise<NetworkInfo[]> {
    return this.#options.networks.infos();
  }

  async createNetwork(request: {
    name: string;
    trackers: string[];
  }): Promise<{ network: NetworkInfo; invite: string }> {
    const name = checkName('network', request.name, MAX_NAME);
    const { info, invite } = await this.#options.networks.create(name, request.trackers);
    return { network: info, invite };
  }

  async previewInvite(invite: string): Promise<InvitePreview> {
    return this.#options.networks.preview(invite);
  }

  async joinNetwork(invite: string): Promise<NetworkInfo> {
    return await this.#options.networks.join(invite);
  }

  async leaveNetwork(network: string): Promise<void> {
    const { trust } = this.#options.networks.resolve(network);
    await this.#parts.downloads.removeNetwork(trust.network);
    await this.#options.shares.removeNetwork(trust.network);
    await this.#options.networks.leave(trust.network);
  }

  async createInvite(request: { network?: string; validFor?: number }): Promise<string> {
    const { trust } = this.#options.networks.resolve(request.network);
    return trust.createInvite({
      inviterName: this.#options.name.get(),
      ...(request.validFor === undefined ? {} : { validFor: request.validFor }),
    });
  }

  async revokeMember(request: Parameters<PeerApi['revokeMember']>[0]): Promise<RevokeResult> {
    const { trust, node } = this.#options.networks.resolve(request.network);
    const device = parseDeviceId(request.device);
    if (device === this.#options.self.device)
      throw new PeerwireError('usage', 'You cannot revoke your own device; leave the network instead.');
    const undo = UNDOS.find((known) => known === (request.undo ?? 'recent'));
    if (undo === undefined) throw new PeerwireError('usage', `Undo one of: ${UNDOS.join(', ')}.`);
    const back = trust.revoke(device, undo);
    return { back: back.map((other) => ({ device: other, name: node.members.get(other)?.name ?? other.slice(0, 7) })) };
  }

  async setTrackers(request: { network: string; trackers: string[] }): Promise<void> {
    const { trust, node } = this.#options.networks.resolve(request.network);
    trust.setTrackers(request.trackers);
    node.retryNow();
  }

  async renameNetwork(request: { network: string; name: string }): Promise<void> {
    const { trust } = this.#options.networks.resolve(request.network);
    trust.rename(checkName('network', request.name, MAX_NAME));
  }

  async members(network?: string): Promise<MemberInfo[]> {
    return this.#networks(network).flatMap((running) => memberInfos(running, this.#self()));
  }

  async setAdmin(request: { network?: string; device: string }): Promise<void> {
    const { trust, node } = this.#options.networks.resolve(request.network);
    const device = parseDeviceId(request.device);
    const member = node.members.get(device);
    if (!member?.spki)
      throw new PeerwireError('not-found', 'That device is not known as a member of the network; connect to it first.');
    trust.makeAdmin({ ...member, spki: member.spki });
  }

  async invites(network?: string): Promise<InviteInfo[]> {
    const now = this.#options.clock.wallTime();
    return this.#networks(network).flatMap((running) => inviteInfos(running, this.#self(), now));
  }

  async revokeInvite(request: { network?: string; invite: string }): Promise<void> {
    this.#options.networks.resolve(request.network).trust.withdrawInvite(request.invite);
  }

  #networks(network: string | undefined): RunningNetwork[] {
    return network === undefined ? this.#options.networks.list() : [this.#options.networks.resolve(network)];
  }

  #self(): { device: DeviceId; name: string } {
    return { device: this.#options.self.device, name: this.#options.name.get() };
  }

  async peers(): Promise<PeerInfo[]> {
    return this.#options.networks.peers();
  }

  async addPeerAddress(address: string): Promise<void> {
    for (const { node } of this.#options.networks.list()) node.addAddress(address);
  }

  async shares(): Promise<ShareInfo[]> {
    return this.#parts.index.list();
  }

  async awaitMetadata(share: string): Promise<void> {
    await this.#versionToGet(this.#parts.index.resolve(share));
  }

  async shareFiles(share: string): Promise<ShareFile[]> {
    const { info } = await this.#parts.version(this.#parts.index.resolve(share));
    return info.files.map((file) => ({
      path: file.path.join('/'),
      size: file.length,
      ...(file.root ? { root: file.root.toString('hex') } : {}),
    }));
  }

  async readFile(request: ReadRequest): Promise<ReadResult> {
    const share = this.#parts.index.resolve(request.share);
    if (request.infohash !== undefined && request.infohash !== share.infohash) throw changed(share);
    return await this.#operations.run(request.operation, (signal) => this.#parts.reads.read(share, request, signal));
  }

  async scan(request: { paths: string[]; includeSecrets?: boolean; operation?: string }): Promise<ScanSummary> {
    return await this.#operations.run(request.operation, async (signal) => {
      const results = [];
      for (const path of request.paths) {
        results.push(
          await this.#options.pool.walk(resolve(path), { includeSecrets: request.includeSecrets === true, signal }),
        );
      }
      return {
        files: results.reduce((sum, result) => sum + result.files.length, 0),
        size: results.reduce((sum, result) => sum + result.size, 0),
        ignored: results.reduce((sum, result) => sum + result.ignored, 0),
        secrets: results.flatMap((result) => result.secrets),
        skipped: results.flatMap((result) => result.skipped),
      };
    });
  }

  async share(request: ShareRequest): Promise<ShareInfo> {
    const { trust } = this.#options.networks.resolve(request.network);
    if (request.relativePath !== undefined) for (const part of request.relativePath.split('/')) checkComponent(part);
    if (request.name !== undefined) checkComponent(request.name);
    const to = request.to?.map((device) => this.#parts.index.resolveDevice(trust.network, device));
    const { operation } = request;
    const share = await this.#operations.run(operation, async (signal) => {
      let reported = 0;
      return await this.#options.shares.add({
        source: resolve(request.path),
        network: trust.network,
        signal,
        ...(request.name === undefined ? {} : { name: request.name }),
        ...(request.message === undefined ? {} : { message: request.message }),
        ...(request.relativePath === undefined ? {} : { path: request.relativePath }),
        ...(to === undefined || to.length === 0 ? {} : { to }),
        ...(request.includeSecrets === true ? { includeSecrets: true } : {}),
        onProgress: (phase, done, total) => {
          const now = this.#options.clock.now();
          if (operation === undefined || (now - reported < 100 && done !== total)) return;
          reported = now;
          this.#parts.report({ event: 'progress', operation, phase, done, total });
        },
      });
    });
    return this.#parts.index.ofOwn(share);
  }

  async setShareAccess(request: ShareAccessRequest): Promise<ShareInfo> {
    const { index } = this.#parts;
    const { share, network } = index.resolve(request.share, (candidate) => candidate.own);
    const to = request.to?.map((device) => index.resolveDevice(network, device));
    const limited = await this.#options.shares.setAccess(share, to);
    this.#options.networks.get(network)?.node.withdrawShare(share);
    return index.ofOwn(limited);
  }

  async unshare(share: string): Promise<void> {
    // Also one that another window of this device offers.
    const { device } = this.#options.self;
    const found = this.#parts.index.resolve(share, ({ owner }) => owner === device);
    await this.#options.shares.stop(found.share);
    this.#options.networks.get(found.network)?.node.withdrawShare(found.share);
  }

  async cancel(operation: string): Promise<void> {
    this.#operations.cancel(operation);
  }

  async plan(request: PlanRequest): Promise<DownloadPlan> {
    const share = this.#parts.index.resolve(request.share);
    const { info } = await this.#versionToGet(share);
    const { pool, cache } = this.#options;
    const destination = resolve(request.destination);
    const { file } = request;
    const plan = await planFiles(info, destination, { ...(file === undefined ? {} : { file }), pool, cache });
    this.#parts.recentPlan.put({ info, destination, file }, plan);
    return {
      share,
      target: plan.target,
      files: plan.files.flatMap(({ path, size, state }) =>
        request.list === undefined || request.list === state ? { path, size, state } : [],
      ),
      missing: plan.missing,
      same: plan.same,
      different: plan.different,
      fetchSize: plan.fetchSize,
      risky: plan.risky,
    };
  }

  /** Of a share that somebody is about to download. */
  async #versionToGet(share: ShareInfo): Promise<Version> {
    // Starting a thread takes a while: the metadata may come meanwhile.
    if (share.size >= MUCH && !share.own) this.#options.pool.warmUp();
    return await this.#parts.version(share);
  }

  async download(request: DownloadRequest): Promise<TransferInfo> {
    return await this.#parts.downloads.add(this.#parts.index.resolve(request.share), request);
  }

  async transfers(): Promise<TransferInfo[]> {
    return [...this.#parts.downloads.list(), ...this.#parts.uploads.list()];
  }

  async pauseTransfer(transfer: string): Promise<void> {
    await this.#parts.downloads.pause(transfer);
  }

  async resumeTransfer(transfer: string): Promise<void> {
    await this.#parts.downloads.resume(transfer);
  }

  async pauseAll(): Promise<void> {
    await this.#parts.downloads.pauseAll();
  }

  async resumeAll(): Promise<void> {
    await this.#parts.downloads.resumeAll();
  }

  async setTransferLimits(transfer: string, limits: RateLimits): Promise<void> {
    const settings = { limits: checkLimits(limits) };
    const version = this.#parts.uploads.versionOf(transfer);
    if (!version) return await this.#parts.downloads.configure(transfer, settings);
    if (!(await this.#parts.downloads.configureVersion(version, settings)))
      this.#parts.hub.configure(version.network, version.infohash, { ...DEFAULT_SETTINGS, ...settings });
    this.#parts.uploads.refresh(transfer);
  }

  async setTransferPriority(transfer: string, priority: TransferPriority): Promise<void> {
    await this.#parts.downloads.configure(transfer, { priority: checkPriority(priority) });
  }

  async cancelTransfer(transfer: string): Promise<void> {
    await this.#parts.downloads.cancel(transfer);
  }

  async recheckTransfer(transfer: string, { operation }: { operation?: string } = {}): Promise<RecheckResult> {
    return await this.#operations.run(operation, (signal) => this.#parts.downloads.recheck(transfer, signal));
  }

  async removeTransfer(transfer: string): Promise<void> {
    if (this.#parts.uploads.stop(transfer)) return;
    await this.#parts.downloads.remove(transfer);
  }

  async diagnose(): Promise<DiagnosisLine[]> {
    const { networks, listenPort } = this.#options;
    const [multicast, dialBacks, firewall, place] = await Promise.all([
      networks.lanSelfTest(),
      networks.dialBacks(),
      findFirewall(),
      findPlace(),
      this.#options.mapper?.()?.settled(),
    ]);
    const mapper = this.#options.mapper?.();
    const interfaces = lanInterfaces();
    return diagnose({
      ...{ port: listenPort(), taken: this.#options.takenPort?.(), networks: networks.diagnoses() },
      ...{ interfaces, multicast, dialBacks, firewall, place },
      portMapping: mapper && { mapped: mapper.mapped, problem: mapper.problem },
    });
  }
}

/** The name without space around it. Throws `usage` when nothing is left, or more than `most` bytes: others refuse that. */
function checkName(what: 'device' | 'network', name: string, most: number): string {
  const trimmed = name.trim();
  if (trimmed === '' || Buffer.byteLength(trimmed) > most)
    throw new PeerwireError('usage', `A ${what} name has 1 to ${most} bytes.`);
  return trimmed;
}
