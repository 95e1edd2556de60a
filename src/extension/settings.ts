import { ANY_ADDRESS } from '../common/any-address.ts';
import type { RateLimits } from '../peer/api.ts';
import type { ProxySettings } from './proxy-environment.ts';
import { vscode } from './vscode.ts';

/** Rates are set in kilobytes per second; everything else of ours counts bytes. */
const KILOBYTE = 1000;

export interface PeerSettings {
  readonly deviceName: string | undefined;
  readonly listen: { readonly host: string; readonly port: number } | 'none';
  readonly limits: RateLimits;
  readonly localDiscovery: boolean;
  readonly relay: boolean;
  readonly portMapping: boolean;
}

/** Settings that a peer obeys from its start on: a change starts it again. */
export const START_SETTINGS = ['listen', 'localDiscovery', 'relay', 'portMapping'].map(
  (name) => `peerwire.network.${name}`,
);

export function readPeerSettings(): PeerSettings {
  const settings = vscode.workspace.getConfiguration('peerwire');
  return {
    deviceName: readText('device.name'),
    listen: settings.get<boolean>('network.listen.enabled', true)
      ? {
          host: readText('network.listen.address') ?? ANY_ADDRESS,
          port: wholeNumber(settings.get('network.listen.port'), 65_535),
        }
      : 'none',
    limits: readLimits(),
    localDiscovery: settings.get<boolean>('network.localDiscovery', true),
    relay: settings.get<boolean>('network.relay', true),
    portMapping: settings.get<boolean>('network.portMapping', false),
  };
}

/** Undefined when nothing is set: settings are typed by hand, so anything may be in them. */
function readText(name: string): string | undefined {
  const text: unknown = vscode.workspace.getConfiguration('peerwire').get(name);
  return typeof text === 'string' && text.trim() !== '' ? text.trim() : undefined;
}

/** Of VS Code itself; they are read when the peer starts. */
export function readProxySettings(): ProxySettings {
  const settings = vscode.workspace.getConfiguration('http');
  const [proxy, noProxy] = [settings.get<unknown>('proxy'), settings.get<unknown>('noProxy')];
  return {
    proxy: typeof proxy === 'string' ? proxy.trim() : '',
    noProxy: Array.isArray(noProxy) ? noProxy.filter((name) => typeof name === 'string') : [],
  };
}

export function readLimits(): RateLimits {
  const settings = vscode.workspace.getConfiguration('peerwire');
  return {
    upload: wholeNumber(settings.get('transfer.uploadLimit')) * KILOBYTE,
    download: wholeNumber(settings.get('transfer.downloadLimit')) * KILOBYTE,
  };
}

/** `rate`: bytes per second; 0 lifts the limit. */
export async function writeLimit(direction: 'upload' | 'download', rate: number): Promise<void> {
  await vscode.workspace
    .getConfiguration('peerwire')
    .update(`transfer.${direction}Limit`, Math.ceil(rate / KILOBYTE), vscode.ConfigurationTarget.Global);
}

export function readTrackers(): string[] {
  const trackers: unknown = vscode.workspace.getConfiguration('peerwire').get('network.trackers');
  return Array.isArray(trackers) ? trackers.filter((url) => typeof url === 'string' && url.trim() !== '') : [];
}

/** Settings are typed by hand: anything but a whole number in range counts as 0. */
function wholeNumber(value: unknown, most = Number.MAX_SAFE_INTEGER / KILOBYTE): number {
  return typeof value === 'number' && value >= 0 && value <= most ? Math.floor(value) : 0;
}
