import { type Command, Option } from 'commander';
import { systemClock } from '../../common/clock.ts';
import { errorMessage } from '../../common/errors.ts';
import type { DeviceId } from '../../common/ids.ts';
import type { Logger } from '../../common/log.ts';
import { Throttle } from '../../common/throttle.ts';
import type { PeerApi, PeerEvent, RateLimits, TransferInfo } from '../../peer/api.ts';
import { ControlSocket } from '../../peer/control-socket.ts';
import type { Cli, CommandContext } from '../cli.ts';
import { EventThrottle } from '../event-throttle.ts';
import { untilAborted } from '../interrupt.ts';
import { REPORT_PERIOD } from '../progress.ts';
import { hostHomePeer } from '../session.ts';
import { addSetupOptions, peerSetup, type SetupOptions } from '../setup-options.ts';
import { parseRate } from '../values.ts';
import { rowOf } from './peers.ts';

interface RunOptions extends SetupOptions {
  readonly uploadLimit?: number;
  readonly downloadLimit?: number;
  readonly relay: boolean;
  readonly mapPort?: boolean;
}

export function addRunCommand(program: Command, cli: Cli): void {
  addSetupOptions(program.command('run'))
    .description('stay up, serve what is shared and fetched, and print events as JSON lines; Ctrl-C ends it')
    .addOption(new Option('--upload-limit <bytes/s>', 'such as 500K or 2M; 0: none').argParser(parseRate))
    .addOption(new Option('--download-limit <bytes/s>', 'such as 500K or 2M; 0: none').argParser(parseRate))
    .option('--map-port', 'ask the router to forward the port (UPnP, NAT-PMP), for peers on other networks')
    .option('--no-relay', 'do not carry traffic between members who cannot reach each other directly')
    .action((options: RunOptions, command: Command) => run(cli.context(command), options));
}

async function run(context: CommandContext, options: RunOptions): Promise<void> {
  const control = await ControlSocket.claim(context.home);
  try {
    const peer = await hostHomePeer(context, {
      ...peerSetup(options),
      ...limitsOf(options),
      relay: options.relay,
      portMapping: options.mapPort === true,
      resume: true,
    });
    const { api } = peer;
    const printer = new EventPrinter(api, (line) => context.output.line(line), context.logger);
    let ready = false;
    // Before anything is asked: what happens from the answers on is not missed.
    const subscription = api.onEvent((event) => ready && printer.print(event));
    try {
      const { device, name, port } = await api.status();
      printer.device = device;
      // Ready means that commands are answered, too.
      control.serve(api, { temporary: false });
      context.output.line({ event: 'ready', device, name, port: port ?? null });
      ready = true;
      await Promise.race([printer.printState(), peer.died]);
      await Promise.race([untilAborted(context.signal), peer.died]);
    } finally {
      subscription.dispose();
      printer.dispose();
      await peer.close();
    }
  } finally {
    await control.close();
  }
}

function limitsOf({ uploadLimit, downloadLimit }: RunOptions): { limits?: RateLimits } {
  if (uploadLimit === undefined && downloadLimit === undefined) return {};
  return { limits: { upload: uploadLimit ?? 0, download: downloadLimit ?? 0 } };
}

/** States after which a transfer says nothing for a while. */
const RESTING: ReadonlySet<TransferInfo['state']> = new Set(['done', 'failed', 'paused']);

/** Events as one line each, not more often than somebody can use them. */
class EventPrinter {
  readonly #peer: PeerApi;
  readonly #print: (line: object) => void;
  readonly #logger: Logger;
  readonly #transfers: EventThrottle<object>;
  readonly #shares = new Throttle(systemClock, REPORT_PERIOD, () => void this.#printShares());
  #sharesShown = '[]';
  /** This one, once it is known. */
  device: DeviceId | undefined;
  #disposed = false;

  constructor(peer: PeerApi, print: (line: object) => void, logger: Logger) {
    this.#peer = peer;
    this.#logger = logger;
    this.#print = print;
    this.#transfers = new EventThrottle(REPORT_PERIOD, print);
  }

  print(event: PeerEvent): void {
    switch (event.event) {
      case 'transfer':
        this.#transfers.push(event.transfer.id, event, RESTING.has(event.transfer.state));
        break;
      case 'transfer-removed':
        this.#transfers.push(event.id, event, true);
        break;
      case 'peers':
        this.#print({ event: 'peers', peers: event.peers.map(rowOf(this.device)) });
        break;
      case 'shares':
        this.#shares.run();
        break;
      case 'notice':
        this.#print(event);
        break;
      case 'networks': // `peers` says the same to those who listen here.
      case 'progress': // The command that asked for it shows it.
        break;
    }
  }

  /** Says what events would have said that came too early to be printed. */
  async printState(): Promise<void> {
    const peers = await this.#peer.peers();
    if (peers.length > 0) this.print({ event: 'peers', peers });
    this.print({ event: 'shares' });
  }

  dispose(): void {
    this.#disposed = true;
    this.#transfers.dispose();
    this.#shares.dispose();
  }

  async #printShares(): Promise<void> {
    try {
      const shares = (await this.#peer.shares()).map(({ share, infohash, name, sources, own }) => ({
        ...{ share, infohash, name, sources, own },
      }));
      const text = JSON.stringify(shares);
      if (this.#disposed || text === this.#sharesShown) return;
      this.#sharesShown = text;
      this.#print({ event: 'shares', shares });
    } catch (error) {
      if (!this.#disposed) this.#logger.warn(`The shares could not be listed: ${errorMessage(error)}`);
    }
  }
}
