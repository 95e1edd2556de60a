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
  return new PeerwireError('connection', `${host} cannot be reached: ${reasonOf(error)}`, { cause: error });
}

function reasonOf(error: unknown): string {
  if (isUnknownAuthority(error))
    return 'its certificate is from an authority that this machine does not trust. Install that of the authority in the system, or name its file in NODE_EXTRA_CA_CERTS.';
  switch (systemCode(error)) {
    case 'CERT_HAS_EXPIRED':
      return 'its certificate has expired. Whoever runs it has to renew that; see also whether the clock here is right.';
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return 'its certificate is for another name. Use the name that is in it.';
    case 'ENOTFOUND':
      return 'there is no host of this name. See whether the URL is right, and whether this machine is in the network where it is known.';
    case 'EAI_AGAIN':
      return 'names cannot be looked up now. See whether this machine is online.';
    case 'ECONNREFUSED':
      return 'nothing listens there. See whether the tracker runs.';
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return 'there is no way to it from here. See whether this machine is online.';
    default:
      return errorMessage(error);
  }
}
