import assert from 'node:assert/strict';
import {
  abilitiesOf,
  describeSettings,
  describeTransfer,
  groupOf,
  isDownloading,
  priorityName,
  TRANSFER_GROUPS,
  totalRates,
} from '../../../src/extension/transfer-model.ts';
import { english as t } from '../../../src/extension/translate.ts';
import type { TransferInfo } from '../../../src/peer/api.ts';
import { device, transfer } from './samples.ts';

const source = (connected: boolean) => ({ device: device('B'), name: 'ben', bytes: 1, rate: 1, connected });
const row = (change: Partial<TransferInfo>): string => describeTransfer(t, transfer(change));

describe('transfer model', () => {
  it('says how far a download is, how fast, how long and from how many', () => {
    const sources = [source(true), source(true), source(false)];
    assert.equal(
      row({ done: 500, rate: 48_000_000, eta: 12_000, sources }),
      '▰▰▰▱▱▱ 50% · 48 MB/s · 12 s left · 2 sources',
    );
    assert.equal(row({}), '▱▱▱▱▱▱ 0% · 0 B/s · looking for sources');
  });

  it('says what was set for a download alone', () => {
    const set = { done: 500, rate: 5e5, limits: { upload: 7, download: 5e5 }, sources: [source(true)] };
    assert.equal(
      row({ ...set, priority: 'high' }),
      '▰▰▰▱▱▱ 50% · 500 KB/s · 1 source · high priority · limited to 500 KB/s',
    );
    assert.equal(describeSettings(t, transfer({ priority: 'low' })), 'low priority');
    assert.equal(describeSettings(t, transfer({ limits: { upload: 7, download: 0 } })), undefined);
    assert.equal(
      describeSettings(t, transfer({ direction: 'upload', limits: { upload: 2e6, download: 0 } })),
      'limited to 2 MB/s',
    );
    assert.deepEqual(
      (['high', 'normal', 'low'] as const).map((priority) => priorityName(t, priority)),
      ['High', 'Normal', 'Low'],
    );
  });

  it('says why a download does not move, and the way out', () => {
    assert.equal(row({ state: 'waiting' }), 'Waiting for a source');
    assert.equal(row({ state: 'waiting', done: 500 }), '▰▰▰▱▱▱ 50% · Waiting for a source');
    assert.equal(row({ state: 'paused', done: 500 }), '▰▰▰▱▱▱ 50% · Paused');
    const error = { code: 'disk-full', message: 'The disk is full: free 28 MB and resume.' };
    assert.equal(row({ state: 'paused', error }), '▱▱▱▱▱▱ 0% · The disk is full: free 28 MB and resume.');
    assert.equal(row({ state: 'failed', error }), 'The disk is full: free 28 MB and resume.');
  });

  it('says what a finished one did', () => {
    const done = { state: 'done', done: 1000, seeding: true } as const;
    assert.equal(row({ ...done, fetched: 1000, elapsed: 900 }), '1 KB · in 1 s · seeding');
    assert.equal(row({ ...done, seeding: false }), '1 KB · already had it');
    assert.equal(
      row({ state: 'uploading', direction: 'upload', rate: 5e6, sources: [source(true)] }),
      '↑ 5 MB/s · to 1 peer',
    );
    assert.equal(row({ state: 'uploading', direction: 'upload', done: 600 }), '600 B sent · to 0 peers');
  });

  it('puts every state into one group, and offers only what can be done', () => {
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
    const table = Object.fromEntries(
      states.map((state) => [state, [groupOf(transfer({ state })), ...abilitiesOf(transfer({ state, path: '/x' }))]]),
    );
    assert.deepEqual(table, {
      waiting: ['waiting', 'pausable', 'cancellable'],
      metadata: ['active', 'pausable', 'cancellable'],
      checking: ['active', 'pausable', 'cancellable'],
      downloading: ['active', 'pausable', 'cancellable'],
      placing: ['active', 'cancellable'],
      paused: ['waiting', 'resumable', 'cancellable', 'verifiable'],
      done: ['done', 'placed', 'removable', 'verifiable'],
      failed: ['failed', 'retryable', 'cancellable', 'verifiable'],
      uploading: ['active'],
    });
    assert.deepEqual(abilitiesOf(transfer({ state: 'done', seeding: true })), ['seeding', 'verifiable']);
    assert.deepEqual(abilitiesOf(transfer({ state: 'checking', rechecking: true })), []);
    assert.equal(new Set(TRANSFER_GROUPS).size, 4);
  });

  it('adds up what moves, each way', () => {
    const up = transfer({ id: 'u', state: 'uploading', direction: 'upload', rate: 5 });
    const paused = transfer({ id: 'p', state: 'paused', rate: 100 });
    assert.deepEqual(totalRates([transfer({ rate: 2 }), transfer({ id: 'b', rate: 1 }), up, paused]), {
      down: 3,
      up: 5,
    });
    assert.deepEqual([isDownloading(transfer()), isDownloading(up), isDownloading(paused)], [true, false, false]);
  });
});
