/** The one place where error codes become a way out. The sentence itself comes with the error. */
import { type ErrorCode, errorCode, errorMessage } from '../common/errors.ts';
import { messageText } from './safe-text.ts';
import type { Translate } from './translate.ts';

export type Remedy = 'diagnose' | 'retry' | 'join' | 'log' | 'restart';

export interface Problem {
  readonly code: ErrorCode;
  readonly message: string;
  readonly remedies: readonly Remedy[];
}

/** Undefined for what the user did on purpose. */
export function explain(t: Translate, error: unknown): Problem | undefined {
  const code = errorCode(error);
  if (code === 'cancelled') return undefined;
  const text = messageText(errorMessage(error));
  const message = code === 'internal' ? t('Something went wrong: {0}', text) : text;
  return { code, message, remedies: remediesFor(code) };
}

export function remediesFor(code: ErrorCode): Remedy[] {
  switch (code) {
    case 'connection':
    case 'timeout':
    case 'tracker':
    case 'no-sources':
      return ['diagnose'];
    case 'invalid-invite':
    case 'expired':
      return ['join'];
    case 'closed':
      return ['restart', 'log'];
    case 'internal':
    case 'protocol':
    case 'bad-encoding':
    case 'corrupt':
      return ['log'];
    default:
      return [];
  }
}

export function remedyTitle(t: Translate, remedy: Remedy): string {
  switch (remedy) {
    case 'diagnose':
      return t('Diagnose Connection');
    case 'retry':
      return t('Retry');
    case 'join':
      return t('Enter Another Invite');
    case 'log':
      return t('Show Log');
    case 'restart':
      return t('Restart');
  }
}
