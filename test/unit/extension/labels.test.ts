import assert from 'node:assert/strict';
import {
  fileLabel,
  folderLabel,
  groupLabel,
  networkLabel,
  ownShareLabel,
  personLabel,
  shareLabel,
  statusLabel,
  transferLabel,
} from '../../../src/extension/labels.ts';
import { buildNetworks } from '../../../src/extension/network-model.ts';
import { namesOf } from '../../../src/extension/share-access.ts';
import { english as t } from '../../../src/extension/translate.ts';
import { device, member, network, peer, share, transfer } from './samples.ts';

describe('labels', () => {
  it('name networks with their state in words', () => {
    assert.equal(networkLabel(t, network({ state: 'connected', peers: 2 })), 'Team, network, connected, 2 peers');
    assert.equal(networkLabel(t, network()), 'Team, network, looking for peers, 0 peers');
    assert.equal(networkLabel(t, network({ state: 'offline' })), 'Team, network, offline, 0 peers');
  });

  it('name people', () => {
    const [entry] = buildNetworks({
      networks: [network()],
      members: [],
      peers: [peer('B'), peer('C')],
      shares: [share()],
      device: peer('C').device,
    });
    assert.deepEqual(
      entry?.people.map((person) => personLabel(t, person)),
      ['b@host, online, 1 share', 'Your other windows, online, 0 shares'],
    );
  });

  it('say in words what sets a member apart', () => {
    const [entry] = buildNetworks({
      networks: [network()],
      members: [
        member('B', { creator: true, admin: true }),
        member('C', { admin: true }),
        member('D', { state: 'away' }),
      ],
      peers: [peer('B'), peer('C', { via: 'relay' })],
      shares: [],
      device: device('A'),
    });
    assert.deepEqual(
      entry?.people.map((person) => personLabel(t, person)),
      ['b@host, online, creator, 0 shares', 'c@host, online, admin, via relay, 0 shares', 'd@host, away, 0 shares'],
    );
  });

  it('name shares, those of others and own ones', () => {
    assert.equal(shareLabel(t, share()), 'report.pdf, file, 3.1 MB, from ben@desktop, 2 sources');
    assert.equal(
      shareLabel(t, share({ name: 'docs', kind: 'folder', files: 214, sources: 0 })),
      'docs, folder, 214 files, 3.1 MB, from ben@desktop, only offline sources',
    );
    assert.equal(ownShareLabel(t, share({ own: true, state: 'ready' })), 'report.pdf, file, 3.1 MB, shared by you');
    assert.equal(
      ownShareLabel(t, share({ own: true }), namesOf(t, [{ name: 'ben' }, { name: 'cl\u202Eeo' }])),
      'report.pdf, file, 3.1 MB, shared by you, only with ben, cl⟨U+202E⟩eo',
    );
    assert.equal(
      ownShareLabel(t, share({ own: true, state: 'missing' })),
      'report.pdf, file, 3.1 MB, shared by you, source is missing',
    );
  });

  it('name what is inside a share', () => {
    const docs = share({ name: 'docs', kind: 'folder' });
    assert.equal(folderLabel(t, docs, 'guide/deep', 12), 'guide/deep, folder, 12 files, in docs');
    assert.equal(fileLabel(t, docs, { path: 'guide/intro.md', size: 10_000 }), 'guide/intro.md, file, 10 KB, in docs');
  });

  it('name transfers without what changes by the second', () => {
    const early = transfer({ done: 1, rate: 1, eta: 1 });
    assert.equal(transferLabel(t, early), 'report.pdf, download, downloading');
    assert.equal(transferLabel(t, { ...early, done: 999, rate: 5e6, eta: 2 }), transferLabel(t, early));
    assert.equal(transferLabel(t, transfer({ state: 'done', seeding: true })), 'report.pdf, download, done, seeding');
    assert.equal(
      transferLabel(t, transfer({ state: 'failed', error: { code: 'io', message: 'The disk broke.' } })),
      'report.pdf, download, failed, The disk broke.',
    );
    assert.equal(groupLabel(t, 'active', 2), 'Active transfers, 2');
  });

  it('name the status bar item', () => {
    assert.equal(statusLabel(t, 0, { down: 0, up: 0 }), 'Peerwire: no peers connected');
    assert.equal(
      statusLabel(t, 2, { down: 48_000_000, up: 1_000_000 }),
      'Peerwire: 2 peers, downloading at 48 MB/s, uploading at 1 MB/s',
    );
  });

  it('spell out what a stranger hides in a name', () => {
    assert.match(shareLabel(t, share({ name: 'a\u202Eb', ownerName: 'x\ny' })), /^a⟨U\+202E⟩b, .*from x⟨U\+000A⟩y/);
  });
});
