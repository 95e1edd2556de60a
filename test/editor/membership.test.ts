import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { OpenPeer } from '../../src/peer/open-peer.ts';
import { eventually, PeersHere } from '../integration/peers-here.ts';
import { type SilentTracker, startSilentTracker } from './host/silent-tracker.ts';
import { TwoEditors } from './two-editors.ts';

const CODE = /PW1-[A-Za-z0-9_-]+/;

describe('a network in two editors', function () {
  this.timeout(180_000);
  let editors: TwoEditors;
  let witness: SilentTracker;
  let peers: PeersHere;
  let cleo: OpenPeer;

  before(async function () {
    this.timeout(180_000);
    witness = await startSilentTracker();
    peers = new PeersHere();
    cleo = await peers.open('cleo');
    editors = await TwoEditors.start({
      fill: async (a, b) => {
        await writeFile(path.join(a, 'for-ben.txt'), 'only for ben\n');
        await writeFile(path.join(a, 'for-cleo.txt'), 'only for cleo\n');
        await writeFile(path.join(a, 'for-all.txt'), 'for everyone\n');
        await writeFile(path.join(b, 'own.txt'), 'ben has this\n');
      },
      moreTrackers: [witness.url],
    });
  });

  after(async () => {
    await editors?.dispose();
    await peers?.dispose();
    await witness?.dispose();
  });

  afterEach(async function () {
    if (this.currentTest?.state === 'failed')
      await editors?.screenshots(this.currentTest.title.replaceAll(/\W+/g, '-'));
  });

  const invite = async (validity: RegExp): Promise<string> => {
    const { window } = editors.a;
    await window.ofNetwork('Team', 'Invite…');
    await window.workbench.option(validity).waitFor();
    await window.workbench.screens('invite');
    const link = await window.workbench.copied(() => window.workbench.pick(validity));
    await window.workbench.page.getByText(/Invite to “Team” copied, valid until/).waitFor();
    return link;
  };

  it('says why nobody is there after a few seconds, and finds out more', async () => {
    const { window } = editors.a;
    await window.createNetwork('Team');
    await window.hintRow('Nobody Else Is Here').waitFor();
    const hint = window.hintRow('Diagnose Connection');
    await hint.waitFor();
    await window.workbench.screens('alone');
    await hint.click();
    await window.workbench.option(/Peers of Team.*needs attention/i).waitFor();
    await window.workbench.option(/Listening.*works/i).waitFor();
    await window.workbench.screens('diagnosis');
    // A line in full, with what mends it.
    await window.workbench.pick(/Peers of Team/i);
    const line = window.workbench.modal(/Peers of Team: needs attention/);
    await line.getByText(/To do: /).waitFor();
    await line.getByRole('button', { name: 'Add Peer by Address…' }).waitFor();
    await window.workbench.screens('diagnosis-line');
    await line.getByRole('button', { name: 'Cancel' }).click();
    // Back in the list, without checking again.
    const report = await window.workbench.copied(() => window.workbench.pick('Copy Report'));
    assert.match(report, /✗ Peers of Team: needs attention\./);
    assert.match(report, /✓ Listening: works\. /);
    assert.match(report, /To do: /);
  });

  it('is joined by link, after a question that names it, who invites and their words, and before that contacts nobody', async () => {
    const link = await invite(/^1 day/);
    assert.match(link, /^vscode:\/\/peerwire\.peerwire\/join\?/);
    const { window } = editors.b;
    await editors.a.window.workbench.setClipboard(link);
    await window.openLink(link);
    const question = window.workbench.modal('Join the network “Team”?');
    await question.getByText(/Invited by ann/).waitFor();
    await question.getByText(/Their words, to compare aloud: \w+ \w+/).waitFor();
    await window.workbench.screens('join');
    assert.equal(witness.ports.size, 1, 'somebody else than ann announced');
    await question.getByRole('button', { name: 'Cancel' }).click();
    await window.workbench.button('Join with an Invite').first().waitFor();
    assert.equal(witness.ports.size, 1, 'ben announced, who declined');

    await window.openLink(link);
    await question.getByRole('button', { name: 'Join' }).click();
    await window.networkRow('Team').waitFor();
    await window.personRow('ann', 'online, creator').waitFor();
    await editors.a.window.personRow('ben', 'online').waitFor();
    assert.equal(witness.ports.size, 2, 'ben announced once he agreed');
  });

  it('is joined by the code alone, pasted', async () => {
    const { window } = editors.b;
    await window.workbench.command('Peerwire: Create a Network…');
    await window.workbench.answer('Second');
    await window.networkRow('Second').waitFor();
    await window.workbench.toast('“Second” is ready').waitFor();
    const [code] = CODE.exec(await window.workbench.clipboard())!;
    const { workbench } = editors.a.window;
    await workbench.setClipboard(`Here you are: ${code}`);
    await workbench.command('Peerwire: Paste Invite');
    const question = workbench.modal('Join the network “Second”?');
    await question.getByText(/Invited by ben/).waitFor();
    await question.getByRole('button', { name: 'Join' }).click();
    await editors.a.window.networkRow('Second').waitFor();
    await window.personRow('ann', 'online').nth(1).waitFor();
    // Not to be asked each time in which network.
    for (const { window } of [editors.a, editors.b]) {
      await window.ofNetwork('Second', 'Leave Network…');
      const sure = window.workbench.modal('Leave the network “Second”?');
      await sure.getByRole('button', { name: 'Leave' }).click();
      await window.networkRow('Second').waitFor({ state: 'detached' });
    }
  });

  it('shows who is in it: the creator in words, and what to compare', async () => {
    const { window } = editors.b;
    await cleo.joinNetwork(await invite(/^1 hour/));
    await window.personRow('cleo', 'online').waitFor();
    await editors.a.window.personRow('cleo', 'online').waitFor();
    await window.workbench.screens('people');
    await window.ofPerson('ann', 'Compare Words…');
    const words = window.workbench.modal('Compare words with ann');
    const theirs = /Their words: (\w+(?: \w+)+)/.exec(await words.innerText())?.[1];
    await window.workbench.screens('words');
    const [ann] = (await cleo.members()).filter(({ name }) => name === 'ann');
    assert.equal(theirs, ann?.words.join(' '));
    await words.getByRole('button', { name: 'OK' }).click();
    // Only who can do it is offered to.
    await window.personRow('ann').click({ button: 'right' });
    const menu = window.workbench.page.getByRole('menuitem');
    await menu.filter({ hasText: 'Compare Words…' }).waitFor();
    assert.equal(await menu.filter({ hasText: /Revoke|Admin/ }).count(), 0);
    await window.workbench.page.keyboard.press('Escape');
  });

  it('lets one share with one member only, and open it to all later', async () => {
    const { window } = editors.a;
    await window.workbench.showSidebar(/^Explorer/);
    await window.workbench.contextMenu(window.workbench.row('for-ben.txt'), 'Share with Chosen Members…');
    await window.workbench.choice(/^ben/).waitFor();
    await window.workbench.screens('choose-members');
    await window.choose('ben');
    await window.show();
    const row = window.ownShareRow('for-ben.txt');
    await row.and(window.workbench.row(/only with ben/)).waitFor();
    await editors.b.window.shareRow('for-ben.txt').waitFor();
    await window.workbench.screens('limited');
    // What is shared with everyone afterwards arrives; what is for ben alone does not.
    await window.share('for-all.txt');
    const seen = await eventually(cleo, async () => {
      const shares = await cleo.shares();
      return shares.some(({ name }) => name === 'for-all.txt') && shares.map(({ name }) => name);
    });
    assert.deepEqual(seen, ['for-all.txt']);

    await window.workbench.contextMenu(row, 'Change Access…');
    await window.workbench.option(/Everyone/).waitFor();
    await window.workbench.screens('change-access');
    await window.workbench.pick(/Everyone/);
    await eventually(cleo, async () => (await cleo.shares()).some(({ name }) => name === 'for-ben.txt'));
    await window.workbench.row(/only with ben/).waitFor({ state: 'detached' });
    await editors.b.window.download('ann', 'for-ben.txt');
    await editors.b.window.transferRow('for-ben.txt', 'done').waitFor();
  });

  it('shares with the member of a row', async () => {
    const { window } = editors.a;
    await window.ofPerson('cleo', 'Share Files with This Member…');
    // The editor's own file dialog: a file in it is picked at once.
    await window.workbench.quickPick.locator('input').first().fill(path.join(editors.a.workspace, 'for-cleo'));
    await window.workbench.pick(/for-cleo.txt/);
    await window.workbench.row(/^for-cleo.txt, .*only with cleo/).waitFor();
    await eventually(cleo, async () => (await cleo.shares()).some(({ name }) => name === 'for-cleo.txt'));
  });

  it('takes an invite back: nobody joins with it any more', async () => {
    const { window } = editors.a;
    const text = await invite(/^30 days/);
    await window.ofNetwork('Team', 'Manage Invites…');
    const latest = window.workbench.option(/Valid for 30 days/);
    await latest.waitFor();
    await window.workbench.screens('invites');
    // A valid one can be copied again.
    const again = await window.workbench.copied(() => latest.click());
    assert.equal(CODE.exec(again)?.[0], CODE.exec(text)?.[0]);

    await window.ofNetwork('Team', 'Manage Invites…');
    await window.workbench.inlineAction(latest, 'Revoke…');
    const question = window.workbench.modal(/Revoke the invite of/);
    await question.getByText(/Nobody can join with it any more/).waitFor();
    await window.workbench.screens('revoke-invite');
    await question.getByRole('button', { name: 'Revoke' }).click();
    await window.workbench.option(/Revoked/).waitFor();
    await window.workbench.page.keyboard.press('Escape');

    const late = await peers.open('late');
    await late.joinNetwork(text);
    const refused = await eventually(late, async () => (await late.networks())[0]?.problem);
    assert.match(refused, /refuse/i);
    assert.equal(await window.personRow('late').count(), 0);
    await peers.close(late);
  });

  it('has a name and trackers, which its creator changes for everyone', async () => {
    const { window } = editors.a;
    await window.ofNetwork('Team', 'Rename Network…');
    await window.workbench.answer('Crew');
    await window.networkRow('Crew').waitFor();
    await editors.b.window.networkRow('Crew').waitFor();
    await window.ofNetwork('Crew', 'Trackers…');
    await window.workbench.option(witness.url).waitFor();
    await window.workbench.screens('trackers');
    await window.workbench.inlineAction(window.workbench.option(witness.url), 'Remove…');
    await window.workbench.modal(witness.url).getByRole('button', { name: 'Remove' }).click();
    await window.workbench.option(witness.url).waitFor({ state: 'detached' });
    await window.workbench.page.keyboard.press('Escape');
    await eventually(cleo, async () => {
      const [network] = await cleo.networks();
      return network?.name === 'Crew' && !network.trackers.includes(witness.url);
    });
    // Who does not administer it is not offered to.
    await editors.b.window.networkRow('Crew').click({ button: 'right' });
    const menu = editors.b.window.workbench.page.getByRole('menuitem');
    await menu.filter({ hasText: 'Invite…' }).first().waitFor();
    assert.equal(await menu.filter({ hasText: /Rename|Trackers/ }).count(), 0);
    await editors.b.window.workbench.page.keyboard.press('Escape');
  });

  it('gets a second admin, who may do it too', async () => {
    await editors.a.window.ofPerson('ben', 'Make Admin…');
    const question = editors.a.window.workbench.modal('Make ben an admin of “Crew”?');
    await question.getByText(/also while you are away/).waitFor();
    await editors.a.window.workbench.screens('make-admin');
    await question.getByRole('button', { name: 'Make Admin' }).click();
    await editors.a.window.personRow('ben', 'online, admin').waitFor();
    await editors.b.window.ofNetwork('Crew', 'Rename Network…');
    await editors.b.window.workbench.answer('Crew 2');
    await editors.a.window.networkRow('Crew 2').waitFor();
  });

  it('shows who is away and since when', async () => {
    const { device } = await cleo.status();
    await peers.close(cleo);
    const row = editors.a.window.personRow('cleo', 'away');
    await row.waitFor();
    assert.match(await row.innerText(), /Away, seen/);
    await editors.a.window.workbench.screens('away');
    cleo = await peers.open('cleo');
    assert.equal((await cleo.status()).device, device);
    await editors.a.window.personRow('cleo', 'online').waitFor();
  });

  it('removes a member with honest words: away from every view, and refused', async () => {
    const { window } = editors.b;
    await window.ofPerson('cleo', 'Revoke Member…');
    const question = window.workbench.modal('Revoke cleo?');
    await question.getByText('They keep what they already have; members will refuse them from now on.').waitFor();
    await window.workbench.screens('revoke');
    await question.getByRole('button', { name: 'Revoke' }).click();
    for (const { window } of [editors.a, editors.b]) await window.personRow('cleo').waitFor({ state: 'detached' });
    const problem = await eventually(cleo, async () => (await cleo.networks())[0]?.problem);
    assert.match(problem, /revoked|removed/i);
  });

  it('says so when all others went away, and finds out more', async () => {
    await editors.b.server.dispose();
    const { window } = editors.a;
    await window.personRow('ben', 'away, admin').waitFor();
    await window.hintRow('Nobody Else Is Here').waitFor();
    await window.hintRow('Diagnose Connection').waitFor();
    await window.workbench.screens('all-away');
  });

  it('obeys a changed setting without a reload', async () => {
    const { window, server } = { window: editors.a.window.workbench, server: editors.a.server };
    await window.command('Peerwire: Diagnose Connection');
    await window.option(/Listening.*works/i).waitFor();
    await server.changeSettings({ 'peerwire.network.listen.enabled': false });
    // The editor takes a moment to notice: ask until it has, as its user would.
    for (const deadline = Date.now() + 60_000; ; ) {
      // Not by the mouse: what the editor shows under a resting one lies over the button.
      await window.button('Check Again', window.quickPick).dispatchEvent('click');
      await window.option(/Listening/).waitFor();
      if (await window.option(/Listening.*needs attention/i).isVisible()) break;
      assert.ok(Date.now() < deadline, 'the peer still listens');
    }
    await window.page.keyboard.press('Escape');
  });
});
