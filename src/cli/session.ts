import { access } from 'node:fs/promises';
import path from 'node:path';
import { abortable } from '../common/abort.ts';
import { ANY_ADDRESS } from '../common/any-address.ts';
import { errorMessage, PeerwireError } from '../common/errors.ts';
import { FileSecretStore } from '../common/file-secret-store.ts';
import { JsonBytes } from '../common/json-bytes.ts';
import type { Logger } from '../common/log.ts';
import type { PeerApi, RateLimits } from '../peer/api.ts';
import { ControlSocket, connectToHome } from '../peer/control-socket.ts';
import type { OpenPeer, PeerOptions } from '../peer/open-peer.ts';
import { startPeerThread } from '../peer/peer-thread.ts';
import { HASH_WORKER, PEER_WORKER } from './installation.ts';
import type { Listen } from './values.ts';

/** What a command needs to know of its surroundings. */
export interface Surroundings {
  readonly home: string;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

export interface PeerSetup {
  readonly listen: Listen;
  readonly lan: boolean;
  /** Addresses of peers to dial. */
  readonly connect: readonly string[];
}

export const ANY_PORT: Listen = { host: ANY_ADDRESS, port: 0 };
/** For commands that only read or change what is stored. */
export const OFFLINE: PeerSetup = { listen: 'none', lan: false, connect: [] };

export interface Session {
  readonly api: PeerApi;
  /** The peer was opened for this command and ends with it. */
  readonly temporary: boolean;
}

/** Another command's peer may end between two of our looks at it. */
const ATTEMPTS = 5;

/**
 * Runs a command against the peer of the home: the running one, or else one that is opened for it and closed after.
 * Rejects with `closed` when the running peer ends meanwhile.
 */
export async function withPeer<T>(
  surroundings: Surroundings,
  setup: PeerSetup,
  command: (session: Session) => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    surroundings.signal.throwIfAborted();
    const running = await abortable(surroundings.signal, connectToHome(surroundings.home));
    if (running !== undefined) {
      const ended = new Promise<never>((_, reject) => {
        running.onClose(() => reject(new PeerwireError('closed', 'The peer that runs in this home was ended.')));
      });
      try {
        for (const address of setup.connect) await running.addPeerAddress(address);
        const done = command({ api: running, temporary: false });
        return await Promise.race([done, ended]);
      } finally {
        ended.catch(() => undefined);
        running.dispose();
      }
    }
    const control = await claim(surroundings.home, attempt);
    if (control !== undefined) return await withTemporaryPeer(surroundings, setup, control, command);
  }
}

async function claim(home: string, attempt: number): Promise<ControlSocket | undefined> {
  try {
    return await ControlSocket.claim(home);
  } catch (error) {
    if (error instanceof PeerwireError && error.code === 'busy' && attempt < ATTEMPTS) return undefined;
    throw error;
  }
}

async function withTemporaryPeer<T>(
  surroundings: Surroundings,
  setup: PeerSetup,
  control: ControlSocket,
  command: (session: Session) => Promise<T>,
): Promise<T> {
  try {
    const peer = await openHomePeer(surroundings, { ...setup, resume: false });
    try {
      control.serve(peer, { temporary: true });
      const result = await command({ api: peer, temporary: true });
      // Commands that came later use this peer, too: their end is the end.
      await abortable(surroundings.signal, control.retire()).catch(() => undefined);
      return result;
    } finally {
      await peer.close();
    }
  } finally {
    await control.close();
  }
}

interface HomePeerSetup extends PeerSetup {
  readonly resume: boolean;
  readonly relay?: boolean;
  readonly portMapping?: boolean;
  readonly limits?: RateLimits;
}

export interface HostedPeer {
  readonly api: PeerApi;
  /** Rejects when the peer ended without being closed. */
  readonly died: Promise<never>;
  /** Stores everything and ends the peer; nothing is left running. */
  close(): Promise<void>;
}

/**
 * Opens the peer of a home that this process has claimed, in a thread of its own: of the main thread V8 lets nobody say how
 * much memory it may take for garbage. For peers that stay; starting a thread costs some 100 ms.
 */
export async function hostHomePeer(surroundings: Surroundings, setup: HomePeerSetup): Promise<HostedPeer> {
  const { secrets, logger, ...data } = await peerOptions(surroundings, setup);
  const thread = startPeerThread({ entry: PEER_WORKER, data, secrets, logger });
  await thread.open();
  const died = thread.exited.then((failure): never => {
    const reason = failure === undefined ? 'its thread ended' : errorMessage(failure);
    throw new PeerwireError('closed', `The peer stopped unexpectedly (${reason}).`, { cause: failure });
  });
  // Also rejected by `close`, when nobody waits for it any more.
  died.catch(() => undefined);
  return {
    api: {
      ...thread.api,
      // What comes from the thread are plain bytes, which the control socket's JSON would not keep.
      async readFile(request) {
        const result = await thread.api.readFile(request);
        const data = new JsonBytes(new ArrayBuffer(result.data.length));
        data.set(result.data);
        return { ...result, data };
      },
    },
    died,
    async close() {
      try {
        await Promise.race([thread.exited, thread.close()]);
      } finally {
        await thread.terminate();
      }
    },
  };
}

/** The same in this thread: for the time of one command. */
async function openHomePeer(surroundings: Surroundings, setup: HomePeerSetup): Promise<OpenPeer> {
  // Only now: most commands ask a peer that runs, and loading one takes longer than asking.
  const { openPeer } = await import('../peer/open-peer.ts');
  return await openPeer(await peerOptions(surroundings, setup));
}

async function peerOptions({ home, logger }: Surroundings, setup: HomePeerSetup): Promise<PeerOptions> {
  return {
    ...setup,
    home,
    instanceDir: path.join(home, 'peer'),
    // It was named on the command line: scripts and firewalls rely on it.
    portRequired: true,
    secrets: await homeSecrets(home),
    hashWorker: HASH_WORKER,
    logger,
  };
}

/** Throws `unsupported` for the home of an editor that keeps the device's keys itself: a second identity would only confuse. */
async function homeSecrets(home: string): Promise<FileSecretStore> {
  const has = (name: string): Promise<boolean> =>
    access(path.join(home, name)).then(
      () => true,
      () => false,
    );
  if ((await has('home-id')) && !(await has('secrets')) && !(await has('secrets.json'))) {
    throw new PeerwireError(
      'unsupported',
      'The editor whose home this is keeps the keys of its device: choose another --home.',
    );
  }
  return new FileSecretStore(path.join(home, 'secrets'));
}
