import assert from 'node:assert/strict';
import { MAX_PEX_PEERS } from '../../../../src/bittorrent/wire/ut-pex.ts';
import { PEX_INTERVAL, PeerExchange } from '../../../../src/peer/network/peer-exchange.ts';
import { VirtualClock } from '../../../sim/virtual-clock.ts';
import { advance } from './support.ts';

const known = (address: string, reachable = false) => ({ address, reachable });

describe('PeerExchange', () => {
  let clock: VirtualClock;
  let exchange: PeerExchange;

  beforeEach(() => {
    clock = new VirtualClock();
    exchange = new PeerExchange(clock);
  });

  it('tells what is new and what is gone, once a minute', async () => {
    const first = exchange.next([known('10.0.0.1:1', true), known('10.0.0.2:2')], '10.0.0.9');
    assert.deepEqual(first, {
      added: [
        { host: '10.0.0.1', port: 1, flags: 0x10 },
        { host: '10.0.0.2', port: 2, flags: 0 },
      ],
      dropped: [],
    });
    assert.equal(exchange.next([known('10.0.0.3:3')], '10.0.0.9'), undefined);
    await advance(clock, PEX_INTERVAL);
    assert.deepEqual(exchange.next([known('10.0.0.1:1'), known('10.0.0.3:3')], '10.0.0.9'), {
      added: [{ host: '10.0.0.3', port: 3, flags: 0 }],
      dropped: [{ host: '10.0.0.2', port: 2 }],
    });
  });

  it('saves its turn while there is nothing to say', () => {
    assert.equal(exchange.next([], '10.0.0.9'), undefined);
    assert.equal(exchange.next([known('10.0.0.1:1')], '10.0.0.9')?.added.length, 1);
  });

  it('tells fifty at most, and the rest later', async () => {
    const many = Array.from({ length: 120 }, (_, i) => known(`10.0.0.${i}:1000`));
    const counts: number[] = [];
    for (let minute = 0; minute < 4; minute++) {
      counts.push(exchange.next(many, '10.0.0.200')?.added.length ?? 0);
      await advance(clock, PEX_INTERVAL);
    }
    assert.deepEqual(counts, [MAX_PEX_PEERS, MAX_PEX_PEERS, 20, 0]);
  });

  it('tells loopback addresses on this machine only', () => {
    assert.equal(exchange.next([known('127.0.0.1:1'), known('[::1]:1')], '10.0.0.9'), undefined);
    assert.equal(exchange.next([known('127.0.0.1:1')], '127.0.0.1')?.added.length, 1);
  });

  it('heeds one message a minute', async () => {
    assert.equal(exchange.accept(), true);
    assert.equal(exchange.accept(), false);
    await advance(clock, 45_000);
    assert.equal(exchange.accept(), false);
    await advance(clock, 14_000);
    assert.equal(exchange.accept(), true);
  });
});
