import { type Command, Option } from 'commander';
import { ANY_PORT, type PeerSetup } from './session.ts';
import { collectAddress, type Listen, parseListen } from './values.ts';

/** Options of commands that open a peer which talks to others. A running peer takes only the addresses from them. */
export interface SetupOptions {
  readonly listen?: Listen;
  readonly lan: boolean;
  readonly connect?: readonly string[];
}

export function addSetupOptions(command: Command): Command {
  return command
    .addOption(new Option('--connect <host:port>', 'dial this peer (repeatable)').argParser(collectAddress))
    .addOption(
      new Option('--listen <host:port>', 'where to accept connections, or "none" (default: any port)').argParser(
        parseListen,
      ),
    )
    .option('--no-lan', 'do not look for peers on the local network');
}

export function peerSetup({ listen, lan, connect }: SetupOptions): PeerSetup {
  return { listen: listen ?? ANY_PORT, lan, connect: connect ?? [] };
}
