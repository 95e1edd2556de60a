import { PeerwireError } from '../common/errors.ts';
import { isLinkLocal, isLoopback, isMetadataService, isPrivate, isUnreachable, plainAddress } from './ip-address.ts';

const SCHEMES = new Set(['http:', 'https:', 'udp:']);

/**
 * A tracker URL that we are willing to ask. Invites bring them from others, so a URL must not turn this machine
 * against services that only it can reach (SSRF; reference/security.md §2, libtorrent's audit F1 and F7).
 * Throws `unsupported` with a sentence for a person.
 */
export function checkTrackerUrl(text: string): URL {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw refused(text, 'it is not a URL');
  }
  if (!SCHEMES.has(url.protocol)) throw refused(text, 'its scheme must be http, https or udp');
  if (url.username !== '' || url.password !== '') throw refused(text, 'it carries a user name or password');
  if (url.hash !== '') throw refused(text, 'it has a fragment');
  if (url.hostname === '') throw refused(text, 'it names no host');
  if (url.port === '0') throw refused(text, 'its port is 0');
  if (url.protocol === 'udp:' && url.port === '') throw refused(text, 'a udp tracker needs a port');
  // No IDNA: look-alike names. The parser has already turned them into xn-- labels.
  if (/[^\x21-\x7e]/.test(text) || url.hostname.split('.').some((label) => label.startsWith('xn--'))) {
    throw refused(text, 'its host name is not plain ASCII');
  }
  const host = hostOf(url);
  if (isUnreachable(host)) throw refused(text, 'its address names no host');
  const local = host === 'localhost' || host.endsWith('.localhost') || isLocalService(host);
  if (local && !mayBeLocal(url)) throw localPathError(text);
  if (isPrivate(host) && !mayBePrivate(url)) throw privatePathError(text);
  return url;
}

/** The host without brackets. */
export function hostOf(url: URL): string {
  return plainAddress(url.hostname.replace(/^\[|\]$/g, ''));
}

/** Addresses where services trust whoever can reach them: loopback, link-local, and the metadata services of clouds. */
export function isLocalService(address: string): boolean {
  return isLoopback(address) || isLinkLocal(address) || isMetadataService(address);
}

/** On this machine nothing but a tracker is asked, which the path must show. */
export function mayBeLocal(url: URL): boolean {
  return url.protocol === 'udp:' || (url.pathname === '/announce' && url.search === '');
}

/**
 * Whoever may set the trackers of a network has all its members ask them, also routers, printers and build servers of theirs that do
 * something when they are asked: in private networks nothing is asked but what a tracker answers.
 */
export function mayBePrivate(url: URL): boolean {
  return url.protocol === 'udp:' || /\/announce(?:\.php)?$/.test(url.pathname);
}

export function privatePathError(text: string): PeerwireError {
  return refused(text, 'in a private network only a path that ends in /announce may be asked');
}

export function localPathError(text: string): PeerwireError {
  return refused(text, 'on this machine only the path /announce may be asked');
}

function refused(text: string, reason: string): PeerwireError {
  const shown = text.slice(0, 100).replaceAll(/[^\x20-\x7e]/g, '?');
  return new PeerwireError('unsupported', `The tracker URL “${shown}” cannot be used: ${reason}.`);
}
