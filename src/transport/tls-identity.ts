import { constants } from 'node:crypto';
import { createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';
import { PeerwireError } from '../common/errors.ts';
import type { DeviceId } from '../common/ids.ts';
import { deviceIdOfSpki, type Identity, spkiOf } from './identity.ts';

/** The only protocol that we speak inside TLS; its number changes with the handshake (PROTOCOL.md). */
export const ALPN = 'peerwire/1';

/** RFC 8446 §7.5. Both ends of one TLS session, and nobody else, can compute the same 32 bytes. */
const EXPORTER_LABEL = 'EXPORTER-peerwire-auth-v1';

/**
 * All of TLS 1.3, the cheapest first; each is strong enough. BoringSSL (in Electron) ignores the order and chooses by the
 * processor.
 */
const CIPHERS = 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256';

const contexts = new WeakMap<Identity, SecureContext>();

/** Options of both sides. Certificates carry keys, not names: authentication is `peerOfTls` and the member handshake. */
export function tlsOptions(identity: Identity): {
  secureContext: SecureContext;
  requestCert: true;
  rejectUnauthorized: false;
  ALPNProtocols: string[];
} {
  return { secureContext: contextOf(identity), requestCert: true, rejectUnauthorized: false, ALPNProtocols: [ALPN] };
}

function contextOf(identity: Identity): SecureContext {
  const known = contexts.get(identity);
  if (known) return known;
  const context = createSecureContext({
    key: identity.keyPem,
    cert: identity.certPem,
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    ciphers: CIPHERS,
    // A resumed session skips the certificates; see `peerOfTls`.
    secureOptions: constants.SSL_OP_NO_TICKET,
  });
  contexts.set(identity, context);
  return context;
}

export interface TlsPeer {
  readonly device: DeviceId;
  readonly spki: Buffer;
}

/**
 * Who is at the other end of a finished TLS handshake. Fails closed, in the order of reference/security.md §3; each
 * check closes a behavior that was seen. Throws `protocol`.
 */
export function peerOfTls(socket: TLSSocket): TlsPeer {
  // 1. The context demands both already; a client that offers no ALPN at all would be accepted without this.
  if (socket.getProtocol() !== 'TLSv1.3') throw refused('it does not speak TLS 1.3');
  if (socket.alpnProtocol !== ALPN) throw refused('it does not speak our protocol');
  // 2. A resumed session has the identity of its ticket, whatever certificate is configured now.
  if (socket.isSessionReused()) throw refused('it resumed an old session');
  // 3. Without `rejectUnauthorized`, a peer without a certificate gets this far.
  const certificate = socket.getPeerX509Certificate();
  if (!certificate) throw refused('it has no certificate');
  // 4. The key, in its one encoding. Not getPeerCertificate(), which reports what the certificate says of itself.
  let spki: Buffer;
  try {
    spki = spkiOf(certificate.publicKey);
  } catch (error) {
    throw refused('its key is not an uncompressed P-256 key', error);
  }
  return { device: deviceIdOfSpki(spki), spki };
}

export function exportedSecret(socket: TLSSocket): Buffer {
  return socket.exportKeyingMaterial(32, EXPORTER_LABEL, Buffer.alloc(0));
}

function refused(reason: string, cause?: unknown): PeerwireError {
  return new PeerwireError('protocol', `The other end is not a Peerwire peer: ${reason}.`, { cause });
}
