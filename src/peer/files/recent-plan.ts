import type { Info } from '../../bittorrent/metainfo.ts';
import type { Clock } from '../../common/clock.ts';
import type { Disposable } from '../../common/disposable.ts';
import type { FilesPlan } from './plan.ts';

/** Milliseconds for which a plan was made just now: enough for a program to go on with it, too few for a person to change files. */
const RECENT = 500;

/** What was planned. */
export interface PlanSubject {
  readonly info: Info;
  /** Absolute. */
  readonly destination: string;
  readonly file: string | undefined;
}

/** Keeps the last plan for the download that mostly follows it: to compare 20,000 files again would take as long again. */
export class RecentPlan implements Disposable {
  readonly #clock: Clock;
  #last: (PlanSubject & { readonly plan: FilesPlan }) | undefined;
  #timer: Disposable | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  put(subject: PlanSubject, plan: FilesPlan): void {
    this.dispose();
    this.#last = { ...subject, plan };
    this.#timer = this.#clock.setTimeout(() => this.dispose(), RECENT);
  }

  /** The plan of exactly this, once, if it was made just now. */
  take({ info, destination, file }: PlanSubject): FilesPlan | undefined {
    const last = this.#last;
    if (last?.info !== info || last.destination !== destination || last.file !== file) return undefined;
    this.dispose();
    return last.plan;
  }

  /** Forgets it. */
  dispose(): void {
    this.#timer?.dispose();
    this.#timer = undefined;
    this.#last = undefined;
  }
}
