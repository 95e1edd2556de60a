import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls';
import { systemCode } from '../common/errors.ts';

/** Node's words for a certificate that leads to no authority it knows. */
const UNKNOWN_AUTHORITY = new Set([
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
]);

/** `null`: there is none. */
let trust: SecureContext | null | undefined;

export function isUnknownAuthority(error: unknown): boolean {
  return UNKNOWN_AUTHORITY.has(systemCode(error) ?? '');
}

/**
 * Trusts the authorities that the owner of this machine installed in the system, such as a company's, besides those that Node
 * brings. Reading them takes some 0.1 s, once: to be asked for only when the others were not enough. Undefined where Node
 * cannot tell (before 22.15).
 */
export function systemTrust(): SecureContext | undefined {
  if (trust === undefined) {
    trust =
      typeof getCACertificates === 'function'
        ? createSecureContext({ ca: [...getCACertificates('default'), ...getCACertificates('system')] })
        : null;
  }
  return trust ?? undefined;
}
