import type { DeviceId, NetworkId } from '../common/ids.ts';
import type { MemberChannel } from './network/channel.ts';
import { FairShare } from './network/fair-share.ts';

/** Connections that members opened, of all networks: which has to make room for another. See `FairShare`. */
export class FairPlaces {
  readonly #inviterOf: (network: NetworkId, device: DeviceId) => DeviceId | undefined;
  readonly #channels: MemberChannel[] = [];

  constructor(inviterOf: (network: NetworkId, device: DeviceId) => DeviceId | undefined) {
    this.#inviterOf = inviterOf;
  }

  /** In the order of opening. */
  add(channel: MemberChannel): void {
    this.#channels.push(channel);
  }

  /** The newest of who has most, with all whom it invited; undefined when that is the newcomer. */
  firstToGo(newcomer: MemberChannel): MemberChannel | undefined {
    const networks = new Map([...this.#channels, newcomer].map(({ device, network }) => [device, network]));
    const room = new FairShare((device) => {
      const network = networks.get(device) ?? newcomer.network;
      return this.#inviterOf(network, device);
    });
    const channels = [...this.#channels, newcomer];
    for (const [index, { device }] of channels.entries())
      room.add({ key: String(index), device, bytes: 0, time: -index });
    const first = channels[Number(room.first()?.key)];
    return first === newcomer ? undefined : first;
  }
}
