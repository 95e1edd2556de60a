/**
 * Everything that can go wrong carries a code, so that callers branch on the code and only the user interface turns it
 * into words and buttons. Messages are one sentence for a person: what happened and what to do.
 */
export type ErrorCode =
  | 'cancelled'
  | 'usage'
  | 'not-found'
  | 'ambiguous'
  | 'exists'
  | 'invalid-invite'
  | 'expired'
  | 'not-admitted'
  | 'revoked'
  | 'protocol'
  | 'bad-encoding'
  | 'bad-metainfo'
  | 'unsafe-path'
  | 'corrupt'
  | 'stale'
  | 'no-sources'
  | 'timeout'
  | 'connection'
  | 'tracker'
  | 'permission'
  | 'disk-full'
  | 'io'
  | 'busy'
  | 'closed'
  | 'unsupported'
  | 'internal';

export class PeerwireError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'PeerwireError';
    this.code = code;
  }
}

/** The code of any thrown value; file system errors of Node are mapped to ours. */
export function errorCode(error: unknown): ErrorCode {
  if (error instanceof PeerwireError) return error.code;
  switch (systemCode(error)) {
    case 'ENOSPC':
    case 'EDQUOT':
      return 'disk-full';
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return 'permission';
    case 'ENOENT':
      return 'not-found';
    case 'EEXIST':
      return 'exists';
    case 'ECONNREFUSED':
    case 'ECONNRESET':
    case 'EPIPE':
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return 'connection';
    case 'ETIMEDOUT':
      return 'timeout';
    case undefined:
      return 'internal';
    default:
      return 'io';
  }
}

/** Node's `code` of a system error, such as `ENOENT`. */
export function systemCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Wraps anything thrown as a coded error, keeping the original as its cause. */
export function toPeerwireError(error: unknown, context?: string): PeerwireError {
  if (error instanceof PeerwireError) return error;
  const message = errorMessage(error);
  return new PeerwireError(errorCode(error), context ? `${context}: ${message}` : message, { cause: error });
}
