import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as vscode from 'vscode';
import { COMMAND_IDS } from '../../../src/extension/command-ids.ts';
import { recordFigure } from './figures.ts';
import { peerwireExtension, testApi } from './test-api.ts';

describe('the extension in its host', () => {
  it('activates', async () => {
    const extension = peerwireExtension();
    await extension.activate();
    assert.equal(extension.isActive, true);
    const [activation] = performance.getEntriesByName('peerwire.activate');
    assert.ok(activation);
    recordFigure('activate(), ms', activation.duration);
  });

  it('registers every command of its manifest', async () => {
    const manifest = peerwireExtension().packageJSON as { contributes: { commands: { command: string }[] } };
    const declared = manifest.contributes.commands.map(({ command }) => command);
    const registered = new Set(await vscode.commands.getCommands(true));
    assert.ok(declared.length > 0);
    for (const command of [...declared, ...COMMAND_IDS]) assert.ok(registered.has(command), command);
  });

  it('returns its interface for other extensions', async () => {
    const api = await testApi();
    assert.equal(api.version, 1);
    assert.ok(Array.isArray(api.networks()));
    assert.ok(Array.isArray(api.shares()));
  });

  it('starts the peer in a worker thread', async () => {
    const peer = await (await testApi()).peer();
    const status = await peer.status();
    assert.match(status.device, /^[A-Z2-7]{52}$/i);
    assert.ok(status.port === undefined || status.port > 0);
    assert.ok(status.words.length > 0);
  });

  it('creates a network, shares a file and shows both to other extensions', async () => {
    const api = await testApi();
    const peer = await api.peer();
    const folder = await mkdtemp(path.join(tmpdir(), 'peerwire-in-host-'));
    try {
      const file = path.join(folder, 'note.txt');
      await writeFile(file, 'from inside the host\n');
      const { network, invite } = await peer.createNetwork({ name: 'In host', trackers: [] });
      const preview = await peer.previewInvite(invite);
      assert.equal(preview.network, network.network);
      assert.equal(preview.alreadyJoined, true);
      const share = await peer.share({ path: file, network: network.network });
      assert.equal(share.size, 21);
      await until(api.onDidChange, () => api.shares().some(({ id }) => id === share.share));
      assert.ok(api.networks().some(({ name }) => name === 'In host'));
      await peer.leaveNetwork(network.network);
      await until(api.onDidChange, () => !api.networks().some(({ name }) => name === 'In host'));
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  it('answers a bad invite with a coded error', async () => {
    const peer = await (await testApi()).peer();
    await assert.rejects(peer.joinNetwork('PW1-nonsense'), { code: 'invalid-invite' });
  });
});

function until(event: vscode.Event<void>, reached: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const check = (): void => {
      if (!reached()) return;
      listener.dispose();
      resolve();
    };
    const listener = event(check);
    check();
  });
}
