import assert from 'node:assert/strict';
import { attentionFirst, diagnosisReport, fixesFor } from '../../../src/extension/diagnosis.ts';
import { english as t } from '../../../src/extension/translate.ts';
import { network } from './samples.ts';

const works = { check: 'listening', ok: true, detail: 'Port 5 accepts connections.', fix: 'Nothing.' };
const fails = { check: 'tracker of Team', ok: false, detail: 'No tracker answers.', fix: 'Check that it runs.' };

describe('a diagnosis', () => {
  it('begins with what needs attention', () => {
    const [a, b] = [
      { ...works, check: 'a' },
      { ...fails, check: 'b' },
    ];
    assert.deepEqual(attentionFirst([works, fails, a, b]), [fails, b, works, a]);
  });

  it('is copied as plain text, every verdict in words, nothing hidden in it', () => {
    const strange = { ...fails, detail: 'x\u202Ey\nz' };
    assert.equal(
      diagnosisReport(t, [works, strange], ['here']),
      [
        'Peerwire: Diagnose Connection',
        'here',
        '',
        '✗ Tracker of Team: needs attention. x⟨U+202E⟩y⟨U+000A⟩z',
        '  To do: Check that it runs.',
        '✓ Listening: works. Port 5 accepts connections.',
        '  To do: Nothing.',
        '',
      ].join('\n'),
    );
  });

  it('offers what mends a line, and nothing where nothing is broken', () => {
    const team = network({ admin: true });
    assert.deepEqual(fixesFor({ ...fails, ok: true }, [team]), []);
    assert.deepEqual(fixesFor(fails, [team]), [
      { kind: 'command', command: 'peerwire.manageTrackers', network: team },
      { kind: 'command', command: 'peerwire.addPeer' },
    ]);
    // Only admins change what is for everyone.
    assert.deepEqual(fixesFor(fails, [network()]), [{ kind: 'command', command: 'peerwire.addPeer' }]);
    assert.deepEqual(
      fixesFor({ check: 'reachable', ok: false, detail: '' }, []).map((fix) => 'setting' in fix && fix.setting),
      ['peerwire.network.portMapping'],
    );
    assert.deepEqual(fixesFor({ check: 'something new', ok: false, detail: '', fix: 'Do it.' }, [team]), []);
  });

  it('offers to copy what is meant for a terminal', () => {
    const line = { check: 'firewall', ok: false, detail: '', fix: 'Open it: sudo x', command: 'sudo x' };
    assert.deepEqual(fixesFor(line, []), [{ kind: 'copy', text: 'sudo x' }]);
    assert.deepEqual(fixesFor({ ...line, ok: true }, []), []);
  });
});
