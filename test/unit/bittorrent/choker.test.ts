import assert from 'node:assert/strict';
import {
  type Candidate,
  Choker,
  type ChokerPeer,
  OPTIMISTIC_TURN,
  rankMembers,
  rankOthers,
  slotsFor,
  TURN,
} from '../../../src/bittorrent/choker.ts';
import { VirtualClock } from '../../sim/virtual-clock.ts';

interface TestPeer extends ChokerPeer {
  readonly name: string;
  interested: boolean;
  snubs: boolean;
  rate: number;
  choked: boolean;
}

function peer(name: string, options: Partial<TestPeer> = {}): TestPeer {
  const made: TestPeer = {
    name,
    device: name,
    member: true,
    interested: true,
    snubs: false,
    rate: 0,
    choked: true,
    setChoking: (choking) => {
      made.choked = choking;
    },
    ...options,
  };
  return made;
}

describe('choker', () => {
  describe('slots', () => {
    it('unlimited_uplink_serves_many', () => assert.ok(slotsFor(0) >= 100));
    it('slow_uplink_serves_four', () => assert.equal(slotsFor(1), 4));
    it('slots_follow_the_uplink', () => assert.equal(slotsFor(250_000), 50));
  });

  describe('ranking', () => {
    const NOW = 100_000;
    const candidate = (name: string, unchoked: boolean, since: number, options: Partial<TestPeer> = {}) => ({
      peer: peer(name, options),
      unchoked,
      since,
    });
    const names = (ranked: readonly Candidate<TestPeer>[]): string =>
      ranked.map(({ peer: { name } }) => name).join(' ');

    it('members_whose_turn_is_not_over_stay', () => {
      const all = [candidate('waiting', false, 0), candidate('unchoked', true, NOW - TURN + 1)];
      assert.equal(names(rankMembers(all, NOW)), 'unchoked waiting');
    });
    it('members_who_had_their_turn_make_room', () => {
      const all = [candidate('unchoked', true, NOW - TURN), candidate('waiting', false, NOW - 1)];
      assert.equal(names(rankMembers(all, NOW)), 'waiting unchoked');
    });
    it('members_who_wait_longest_come_first', () => {
      const all = [candidate('short', false, 50_000), candidate('long', false, 10_000)];
      assert.equal(names(rankMembers(all, NOW)), 'long short');
    });
    it('a_second_connection_of_a_device_comes_after_the_first_of_all', () => {
      const all = [
        candidate('a1', false, 0, { device: 'a' }),
        candidate('a2', false, 1, { device: 'a' }),
        candidate('b1', false, 50_000, { device: 'b' }),
      ];
      assert.equal(names(rankMembers(all, NOW)), 'a1 b1 a2');
    });
    it('members_are_not_ranked_by_what_they_give', () => {
      const all = [candidate('poor', false, 0), candidate('rich', false, 1, { rate: 1e6 })];
      assert.equal(names(rankMembers(all, NOW)), 'poor rich');
    });
    it('others_are_ranked_by_what_they_give', () => {
      const all = [candidate('poor', true, NOW), candidate('rich', false, NOW, { rate: 1e6 })];
      assert.equal(names(rankOthers(all, NOW)), 'rich poor');
    });
    it('others_that_snub_us_come_last', () => {
      const all = [candidate('snubs', true, NOW, { snubs: true, rate: 10 }), candidate('gives nothing', false, NOW)];
      assert.equal(names(rankOthers(all, NOW)), 'gives nothing snubs');
    });
    it('others_that_give_alike_take_turns', () => {
      const all = [candidate('had its turn', true, 0), candidate('waits', false, 50_000)];
      assert.equal(names(rankOthers(all, NOW)), 'waits had its turn');
    });
  });

  describe('over time', () => {
    let clock: VirtualClock;
    let choker: Choker;
    let rate: number;
    beforeEach(() => {
      clock = new VirtualClock();
      rate = 1;
      choker = new Choker({ clock, random: () => 0, rate: () => rate });
    });
    afterEach(() => choker.dispose());

    async function pass(ms: number): Promise<void> {
      let over = false;
      clock.setTimeout(() => {
        over = true;
      }, ms);
      await clock.run(() => over, ms);
    }

    it('everybody_interested_is_unchoked_at_once_while_there_are_slots', async () => {
      const peers = ['a', 'b', 'c', 'd'].map((name) => peer(name));
      for (const one of peers) choker.add(one);
      await pass(0);
      assert.deepEqual(
        peers.map(({ choked }) => choked),
        [false, false, false, false],
      );
    });

    it('who_is_not_interested_stays_choked_until_it_is', async () => {
      const one = peer('a', { interested: false });
      choker.add(one);
      await pass(20_000);
      assert.equal(one.choked, true);
      one.interested = true;
      choker.update();
      await pass(0);
      assert.equal(one.choked, false);
    });

    it('beyond_the_slots_members_take_turns_and_nobody_starves', async () => {
      const peers = Array.from({ length: 12 }, (_, index) => peer(`${index}`));
      for (const one of peers) choker.add(one);
      const served = new Map(peers.map((one) => [one, 0]));
      for (let second = 0; second < 120; second++) {
        await pass(1_000);
        const unchoked = peers.filter(({ choked }) => !choked);
        assert.equal(unchoked.length, 4);
        for (const one of unchoked) served.set(one, (served.get(one) ?? 0) + 1);
      }
      // A third of the time for each, in turns of 15 s.
      for (const seconds of served.values()) assert.ok(seconds >= 30 && seconds <= 50, `${seconds} s`);
    });

    it('a_slot_that_comes_free_is_given_at_once', async () => {
      const leaving = choker.add(peer('leaving'));
      for (const name of ['a', 'b', 'c']) choker.add(peer(name));
      const waiting = peer('waiting');
      choker.add(waiting);
      await pass(1_000);
      assert.equal(waiting.choked, true);
      leaving.dispose();
      leaving.dispose();
      await pass(0);
      assert.equal(waiting.choked, false);
    });

    it('a_higher_limit_gives_more_slots', async () => {
      const peers = Array.from({ length: 12 }, (_, index) => peer(`${index}`));
      for (const one of peers) choker.add(one);
      await pass(1_000);
      rate = 0;
      await pass(5_000);
      assert.ok(peers.every(({ choked }) => !choked));
    });

    it('others_get_four_slots_for_what_they_give_and_one_by_chance', async () => {
      const others = Array.from({ length: 8 }, (_, index) => peer(`${index}`, { member: false, rate: index }));
      for (const one of others) choker.add(one);
      await pass(1_000);
      assert.deepEqual(
        others.filter(({ choked }) => !choked).map(({ name }) => name),
        ['0', '4', '5', '6', '7'],
      );
      await pass(OPTIMISTIC_TURN);
      assert.deepEqual(
        others.filter(({ choked }) => !choked).map(({ name }) => name),
        ['1', '4', '5', '6', '7'],
      );
    });

    it('others_take_no_slot_of_members', async () => {
      const members = ['a', 'b', 'c', 'd'].map((name) => peer(name));
      const others = Array.from({ length: 8 }, (_, index) => peer(`${index}`, { member: false, rate: 1e6 }));
      for (const one of [...others, ...members]) choker.add(one);
      await pass(0);
      assert.ok(members.every(({ choked }) => !choked));
    });

    it('an_optimistic_peer_that_gives_much_is_kept_for_that', async () => {
      const others = Array.from({ length: 6 }, (_, index) => peer(`${index}`, { member: false, rate: index + 1 }));
      for (const one of others) choker.add(one);
      await pass(1_000);
      const [first] = others;
      assert.equal(first?.choked, false);
      if (first) first.rate = 100;
      await pass(2 * OPTIMISTIC_TURN);
      assert.equal(first?.choked, false);
    });

    it('leaves_no_timer', () => {
      choker.add(peer('a'));
      choker.dispose();
      assert.equal(clock.pending, 0);
    });
  });
});
