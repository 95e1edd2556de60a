import type { Clock } from '../common/clock.ts';
import { type Disposable, DisposableList } from '../common/disposable.ts';
import { type Logger, prefixed } from '../common/log.ts';
import { LanDiscovery, type LanSelfTest } from '../transport/lan-discovery.ts';
import { LanSockets } from '../transport/lan-sockets.ts';
import type { NetworkWatch } from '../transport/network-watch.ts';
import { formatHostPort } from './network/addresses.ts';
import type { RunningNetwork } from './networks.ts';

export interface NetworkLanOptions {
  /** The address at which this peer listens. */
  readonly host: string;
  readonly listenPort: () => number | undefined;
  readonly networks: () => readonly RunningNetwork[];
  /** Says when interfaces came or went. Not owned. */
  readonly watch: NetworkWatch;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Local discovery for all networks of a peer: members on the local network find it, and are told to their network. */
export class NetworkLan implements Disposable {
  readonly #options: NetworkLanOptions;
  readonly #owned = new DisposableList();
  readonly #discovery: LanDiscovery;
  /** Whose the infohashes are that it uses, by infohash in hex. */
  #meetingPoints = new Map<string, RunningNetwork>();

  constructor(options: NetworkLanOptions) {
    this.#options = options;
    const { host, listenPort, watch, clock } = options;
    const logger = prefixed(options.logger, 'lan');
    this.#discovery = this.#owned.add(
      new LanDiscovery({
        transport: new LanSockets(logger),
        watch,
        clock,
        logger,
        infoHashes: () => this.#infoHashes(),
        listening: () => {
          const port = listenPort();
          return port === undefined ? undefined : { host, port };
        },
      }),
    );
    this.#owned.add(
      this.#discovery.onPeer(({ infoHash, host, port }) => {
        this.#meetingPoints.get(infoHash.toString('hex'))?.node.addAddress(formatHostPort({ host, port }), 'lan');
      }),
    );
  }

  start(): void {
    this.#discovery.start();
  }

  /** Tells of networks that are new. */
  announce(): void {
    this.#discovery.announce();
  }

  /** Whether multicast works, for each interface. */
  selfTest(): Promise<LanSelfTest[]> {
    return this.#discovery.selfTest();
  }

  dispose(): void {
    this.#owned.dispose();
  }

  #infoHashes(): Buffer[] {
    const now = this.#options.clock.wallTime();
    const all = this.#options
      .networks()
      .flatMap((network) => network.trust.lanInfoHashes(now).map((hash) => ({ hash, network })));
    this.#meetingPoints = new Map(all.map(({ hash, network }) => [hash.toString('hex'), network]));
    return all.map(({ hash }) => hash);
  }
}
