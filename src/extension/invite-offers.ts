import { createHash } from 'node:crypto';
import { findInvite } from './invite-text.ts';
import type { Translate } from './translate.ts';
import { vscode } from './vscode.ts';

const SEEN = 'peerwire.seenInvites';
/** Enough to never offer twice what is still on somebody's clipboard. */
const MOST_SEEN = 50;

/** Notices an invite on the clipboard when the view opens, and offers it: once, and never one that this device made. */
export class InviteOffers {
  readonly #memory: vscode.Memento;
  readonly #t: Translate;

  constructor(memory: vscode.Memento, t: Translate) {
    this.#memory = memory;
    this.#t = t;
  }

  async offer(join: (invite: string) => Promise<void>): Promise<void> {
    const invite = await clipboardInvite();
    if (invite === undefined || this.#seen().includes(fingerprint(invite))) return;
    await this.remember(invite);
    const accept = { title: this.#t('Join…') };
    const chosen = await vscode.window.showInformationMessage(
      this.#t('There is a Peerwire invite on your clipboard.'),
      accept,
    );
    if (chosen === accept) await join(invite);
  }

  /** Never offer this one. Only a hash is kept: an invite is a secret. */
  async remember(invite: string): Promise<void> {
    const seen = this.#seen().filter((other) => other !== fingerprint(invite));
    await this.#memory.update(SEEN, [...seen, fingerprint(invite)].slice(-MOST_SEEN));
  }

  #seen(): string[] {
    return this.#memory.get<string[]>(SEEN, []);
  }
}

export async function clipboardInvite(): Promise<string | undefined> {
  try {
    return findInvite(await vscode.env.clipboard.readText());
  } catch {
    // A browser may refuse: then there is nothing to offer.
    return undefined;
  }
}

/** Of the part that link and code have in common. */
function fingerprint(invite: string): string {
  const code = /PW1-[A-Za-z0-9_-]+/.exec(invite)?.[0] ?? invite.trim();
  return createHash('sha256').update(code).digest('base64url').slice(0, 22);
}
