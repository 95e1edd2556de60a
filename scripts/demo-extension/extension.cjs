// Runs beside Peerwire in the editors of `npm start`: A creates a network, B joins it with A's invite. A person should
// find both windows ready, so no questions are asked: with PEERWIRE_DEVELOPMENT set, Peerwire hands out its peer.
const { existsSync, readFileSync, renameSync, writeFileSync } = require('node:fs');
const vscode = require('vscode');

exports.activate = async () => {
  const { PEERWIRE_DEMO_ROLE: role, PEERWIRE_DEMO_INVITE: file, PEERWIRE_DEMO_TRACKER: tracker } = process.env;
  if (!role || !file || !tracker) return;
  const { peer: startPeer } = await vscode.extensions.getExtension('peerwire.peerwire').activate();
  const peer = await startPeer();
  if ((await peer.networks()).length > 0) return;
  if (role === 'A') {
    const { invite } = await peer.createNetwork({ name: 'Demo', trackers: [tracker] });
    writeFileSync(`${file}.part`, invite, { mode: 0o600 });
    renameSync(`${file}.part`, file);
  } else {
    while (!existsSync(file)) await new Promise((resolve) => setTimeout(resolve, 200));
    await peer.joinNetwork(readFileSync(file, 'utf8'));
  }
};
