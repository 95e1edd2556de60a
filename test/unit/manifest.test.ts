/** package.json as VS Code reads it: what the marketplace refuses, what users trip over, and what must match the code. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { COMMAND_IDS } from '../../src/extension/command-ids.ts';
import { abilitiesOf } from '../../src/extension/transfer-model.ts';
import type { TransferInfo } from '../../src/peer/api.ts';
import { transfer } from './extension/samples.ts';

const PROJECT = path.resolve(import.meta.dirname, '../..');
const text = (file: string): string => readFileSync(path.join(PROJECT, file), 'utf8');
const manifest = JSON.parse(text('package.json'));
const nls: Record<string, string> = JSON.parse(text('package.nls.json'));
const { contributes } = manifest;

/** Points that extensions may contribute to without a proposal. (code-server allows the others too, desktop does not.) */
const STABLE_MENUS = ['commandPalette', 'explorer/context', 'editor/title/context', 'view/title', 'view/item/context'];

interface MenuItem {
  command: string;
  when?: string;
  group?: string;
}
const menus = contributes.menus as Record<string, MenuItem[]>;
const resolve = (value: string): string => nls[/^%(.+)%$/.exec(value)?.[1] ?? ''] ?? value;

/** Every string anywhere in the manifest's contributions. */
function* strings(value: unknown): Generator<string> {
  if (typeof value === 'string') yield value;
  else if (typeof value === 'object' && value !== null) for (const inner of Object.values(value)) yield* strings(inner);
}

describe('manifest', () => {
  it('uses no proposed API and no proposed menu', () => {
    assert.equal(manifest.enabledApiProposals, undefined);
    for (const menu of Object.keys(menus)) assert.ok(STABLE_MENUS.includes(menu), `${menu} is not known to be stable`);
    assert.ok(!Object.keys(menus).some((menu) => menu.endsWith('/share')));
  });

  it('lists exactly the commands that the code handles', () => {
    assert.deepEqual(
      contributes.commands.map((command: MenuItem) => command.command),
      [...COMMAND_IDS],
    );
  });

  it('gives every command a title in title case and its category', () => {
    for (const { command, title, category } of contributes.commands) {
      assert.match(command, /^peerwire\.[a-z][A-Za-z]+$/);
      assert.match(resolve(title), /^[A-Z]/, command);
      assert.equal(category, 'Peerwire', command);
    }
    const titles = contributes.commands.map((command: { title: string }) => resolve(command.title));
    assert.equal(new Set(titles).size, titles.length, 'two commands look the same in the palette');
  });

  it('hides from the palette what makes sense on a row only', () => {
    const hidden = menus.commandPalette!.filter((item) => item.when === 'false').map((item) => item.command);
    const elsewhere = new Set(
      Object.entries(menus).flatMap(([menu, items]) =>
        menu === 'view/item/context' || menu === 'commandPalette' ? [] : items.map((item) => item.command),
      ),
    );
    const onRowsOnly = menus['view/item/context']!.map((item) => item.command).filter((id) => !elsewhere.has(id));
    const alsoWithoutRow = [
      'peerwire.copyInvite',
      'peerwire.leaveNetwork',
      'peerwire.renameNetwork',
      'peerwire.manageTrackers',
      'peerwire.shareWithMember',
      'peerwire.compareWords',
      'peerwire.makeAdmin',
      'peerwire.revokeMember',
      'peerwire.changeAccess',
    ];
    assert.deepEqual(new Set(hidden), new Set(onRowsOnly.filter((id) => !alsoWithoutRow.includes(id))));
    assert.ok(hidden.length >= 10);
  });

  it('names only commands that exist', () => {
    const known = new Set<string>([...COMMAND_IDS, 'peerwire.network.focus', 'peerwire.transfers.focus']);
    for (const item of Object.values(menus).flat()) assert.ok(known.has(item.command), item.command);
    for (const value of [...Object.values(nls), ...strings(contributes.walkthroughs)]) {
      for (const [, id] of value.matchAll(/(?:command|onCommand):([\w.]+)/g)) assert.ok(known.has(id!), id);
    }
  });

  it('shares from the explorer and from tabs, for files that are on a disk', () => {
    for (const menu of ['explorer/context', 'editor/title/context']) {
      const item = menus[menu]!.find(({ command }) => command === 'peerwire.shareWithPeers');
      assert.equal(item?.group, '11_share@1');
      assert.equal(item?.when, 'resourceScheme == file || resourceScheme == vscode-remote');
    }
  });

  it('offers speed and priority for downloads that run, and for nothing else', () => {
    for (const command of ['peerwire.limitTransfer', 'peerwire.prioritizeTransfer']) {
      const items = menus['view/item/context']!.filter((item) => item.command === command);
      assert.equal(items.length, 1, command);
      const [, pattern] = / viewItem =~ \/(.+)\/$/.exec(items[0]!.when!)!;
      const states = [
        'waiting',
        'metadata',
        'checking',
        'downloading',
        'placing',
        'paused',
        'done',
        'failed',
        'uploading',
      ] as const;
      const offered = states.filter((state) =>
        new RegExp(pattern!).test(['transfer', ...abilitiesOf(transfer({ state }))].join(':')),
      );
      assert.deepEqual(offered, ['waiting', 'metadata', 'checking', 'downloading']);
    }
  });

  it('offers to verify what rests, and nothing else', () => {
    const [item] = menus['view/item/context']!.filter(({ command }) => command === 'peerwire.verifyTransfer');
    const [, pattern] = / viewItem =~ \/(.+)\/$/.exec(item!.when!)!;
    const isOffered = (change: Partial<TransferInfo>): boolean =>
      new RegExp(pattern!).test(['transfer', ...abilitiesOf(transfer(change))].join(':'));
    for (const state of ['paused', 'failed', 'done'] as const) assert.ok(isOffered({ state }), state);
    assert.ok(isOffered({ state: 'done', seeding: true, path: '/x' }));
    for (const state of ['waiting', 'metadata', 'checking', 'downloading', 'placing', 'uploading'] as const)
      assert.ok(!isOffered({ state }), state);
  });

  it('asks for no keys and does not start before it is needed', () => {
    assert.equal(contributes.keybindings, undefined);
    assert.deepEqual(manifest.activationEvents, ['onStartupFinished', 'onUri']);
    assert.deepEqual(manifest.extensionKind, ['workspace']);
  });

  it('documents every setting, with default and scope, by area', () => {
    const properties = Object.entries<Record<string, unknown>>(contributes.configuration.properties);
    assert.ok(properties.length >= 6);
    for (const [name, setting] of properties) {
      assert.match(name, /^peerwire\.[a-z]+(\.[a-zA-Z]+)+$/);
      assert.ok('default' in setting, name);
      assert.match(String(setting.scope), /^(machine|window)$/, name);
      assert.match(resolve(String(setting.description)), /^[A-Z].+\.$/, name);
    }
  });

  it('lets no untrusted workspace name a tracker', () => {
    const { untrustedWorkspaces, virtualWorkspaces } = manifest.capabilities;
    assert.equal(untrustedWorkspaces.supported, 'limited');
    assert.deepEqual(untrustedWorkspaces.restrictedConfigurations, ['peerwire.network.trackers']);
    assert.equal(virtualWorkspaces.supported, 'limited');
    // What a workspace can set at all is either restricted or harmless.
    const settable = Object.entries<{ scope: string }>(contributes.configuration.properties)
      .filter(([, { scope }]) => scope !== 'machine')
      .map(([name]) => name);
    assert.deepEqual(settable, untrustedWorkspaces.restrictedConfigurations);
  });

  it('has every text in package.nls.json, and no other there', () => {
    const used = [...strings({ ...contributes, c: manifest.capabilities, d: manifest.description })].flatMap((value) =>
      [...value.matchAll(/^%([\w.]+)%$/g)].map(([, key]) => key),
    );
    assert.deepEqual(new Set(used), new Set(Object.keys(nls)));
    for (const [key, value] of Object.entries(nls)) assert.notEqual(value.trim(), '', key);
  });

  it('has welcome text for every view', () => {
    const views = contributes.views.peerwire.map((view: { id: string }) => view.id);
    assert.deepEqual(views, ['peerwire.network', 'peerwire.shares', 'peerwire.transfers']);
    for (const id of views) {
      assert.ok(
        contributes.viewsWelcome.some((welcome: { view: string }) => welcome.view === id),
        id,
      );
    }
    const empty = resolve(contributes.viewsWelcome[0].contents);
    for (const action of ['Create a Network', 'Join with an Invite', 'Paste Invite', 'Host a Tracker']) {
      assert.ok(empty.includes(`[${action}](command:`), action);
    }
  });

  it('has an icon of 128 pixels as PNG, and pictures that follow the theme', () => {
    const icon = readFileSync(path.join(PROJECT, manifest.icon));
    assert.equal(icon.toString('latin1', 1, 4), 'PNG');
    assert.deepEqual([icon.readUInt32BE(16), icon.readUInt32BE(20)], [128, 128]);
    for (const { media } of contributes.walkthroughs[0].steps) {
      assert.match(text(media.svg), /var\(--vscode-/);
      assert.doesNotMatch(text(media.svg), /#[0-9a-f]{3,6}\b|href|<script/i);
    }
  });

  it('is typed against the oldest editor that it claims to run in', () => {
    const engine = manifest.engines.vscode.replace('^', '');
    const types = JSON.parse(text('node_modules/@types/vscode/package.json')).version;
    assert.equal(types.split('.').slice(0, 2).join('.'), engine.split('.').slice(0, 2).join('.'));
    assert.match(manifest.devDependencies['@types/vscode'], /^~/);
  });

  it('packages by a list of what may go in', () => {
    const lines = text('.vscodeignore')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'));
    assert.equal(lines[0], '**');
    assert.ok(lines.slice(1).every((line) => line.startsWith('!')));
    assert.ok(lines.includes(`!${manifest.main.replace('./', '')}`));
  });
});
