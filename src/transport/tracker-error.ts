import { errorMessage, PeerwireError, systemCode } from '../common/errors.ts';
import { isUnknownAuthority } from './https-trust.ts';

/** A tracker's own refusal, in its words. */
export class TrackerRefusal extends PeerwireError {
  /** BEP 31: milliseconds after which it may be asked again, Infinity for never; undefined when it did not say. */
  readonly retryIn: number | undefined;

  constructor(message: string, retryIn?: number) {
    super('tracker', message);
    this.retryIn = retryIn;
  }
}

export function lateError(host: string): PeerwireError {
  return new PeerwireError('timeout', `The tracker ${host} did not answer in time.`);
}

/** No answer came from the host, for a reason that the error's code or words tell. */
export function unreachable(error: unknown, host: string): PeerwireError {
  if (error instanceof PeerwireError) return error;
  const { what, remedy } = reasonOf(error);
  const message = `${host} cannot be reached: ${what}${remedy === undefined ? '' : ` ${remedy}`}`;
  return new PeerwireError('connection', message, { cause: error });
}

/** What to do about an error of `announce`, in a sentence that its message may end with; undefined when there is no telling. */
export function trackerRemedy(error: unknown): string | undefined {
  if (error instanceof TrackerRefusal) return 'Ask whoever runs the tracker, or give the network another one.';
  if (!(error instanceof PeerwireError)) return undefined;
  switch (error.code) {
    case 'tracker':
      return 'See whether its URL is right (most end in “/announce”): what answers there is no tracker.';
    case 'timeout':
      return 'See whether the tracker runs, and whether a firewall in between lets this machine through to its port.';
    case 'unsupported':
      return 'Have an admin of the network set another URL.';
    case 'connection':
      return reasonOf(error.cause).remedy;
    default:
      return undefined;
  }
}

interface Reason {
  readonly what: string;
  readonly remedy?: string;
}

const EXPIRED: Reason = {
  what: 'its certificate has expired.',
  remedy: 'Whoever runs it has to renew that; see also whether the clock here is right.',
};
const NO_WAY: Reason = { what: 'there is no way to it from here.', remedy: 'See whether this machine is online.' };
const NOT_TLS: Reason = {
  what: 'it does not speak TLS, or none that is safe.',
  remedy: 'See whether its URL begins with http:// instead of https://.',
};

/** By the codes of Node and OpenSSL. */
const REASONS: Readonly<Record<string, Reason>> = {
  CERT_HAS_EXPIRED: EXPIRED,
  CERT_NOT_YET_VALID: { what: 'its certificate is not valid yet.', remedy: 'See whether the clock here is right.' },
  ERR_TLS_CERT_ALTNAME_INVALID: {
    what: 'its certificate is for another name.',
    remedy: 'Use the name that is in it.',
  },
  ENOTFOUND: {
    what: 'there is no host of this name.',
    remedy: 'See whether the URL is right, and whether this machine is in the network where it is known.',
  },
  EAI_AGAIN: { what: 'names cannot be looked up now.', remedy: 'See whether this machine is online.' },
  ECONNREFUSED: { what: 'nothing listens there.', remedy: 'See whether the tracker runs.' },
  ECONNRESET: {
    what: 'it hung up.',
    remedy: 'See whether its URL is right, also whether it begins with http:// or https://.',
  },
  EHOSTUNREACH: NO_WAY,
  ENETUNREACH: NO_WAY,
  EPROTO: NOT_TLS,
  ERR_SSL_WRONG_VERSION_NUMBER: NOT_TLS,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: NOT_TLS,
  ERR_SSL_UNSUPPORTED_PROTOCOL: NOT_TLS,
};

const NOT_HTTP: Reason = {
  what: 'what it says is no HTTP.',
  remedy: 'See whether its URL is right, also whether it begins with http:// or https://.',
};

function reasonOf(error: unknown): Reason {
  if (isUnknownAuthority(error)) {
    return {
      what: 'its certificate is from an authority that this machine does not trust.',
      remedy: 'Install that of the authority in the system, or name its file in NODE_EXTRA_CA_CERTS.',
    };
  }
  // Several addresses of one host: the first says enough.
  const code = systemCode(error instanceof AggregateError ? (error.errors[0] ?? error) : error) ?? '';
  return REASONS[code] ?? (code.startsWith('HPE_') ? NOT_HTTP : { what: errorMessage(error) });
}
