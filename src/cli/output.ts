import { safeText } from './text.ts';

/** The part of a stream that we use: the process's own, or a test's. */
export interface TextStream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
}

/** Results go to stdout; what accompanies them to stderr. */
export class Output {
  readonly json: boolean;
  readonly #stdout: TextStream;
  readonly stderr: TextStream;

  constructor(options: { json: boolean; stdout: TextStream; stderr: TextStream }) {
    this.json = options.json;
    this.#stdout = options.stdout;
    this.stderr = options.stderr;
  }

  /** Whether a person watches stderr: progress bars make sense. */
  get interactive(): boolean {
    return !this.json && this.stderr.isTTY === true;
  }

  /** One result: an object on a line of its own, or text for people. */
  result(value: object, text: string): void {
    this.#stdout.write(this.json ? `${jsonLine(value)}\n` : `${text}\n`);
  }

  /** Many results; `text` is for people, and may be empty. */
  results(values: readonly object[], text: string): void {
    if (this.json) for (const value of values) this.#stdout.write(`${jsonLine(value)}\n`);
    else if (text !== '') this.#stdout.write(`${text}\n`);
  }

  /** A JSON line on stdout whatever the format: for `run`, which programs read. */
  line(value: object): void {
    this.#stdout.write(`${jsonLine(value)}\n`);
  }

  /** Progress for programs: a JSON line on stderr. */
  progress(value: object): void {
    if (this.json) this.stderr.write(`${jsonLine(value)}\n`);
  }

  /** A remark for people. */
  message(text: string): void {
    if (this.json) this.progress({ event: 'message', message: text });
    else this.stderr.write(`${safeText(text)}\n`);
  }
}

// What JSON leaves as it is and a terminal obeys: DEL and C1 controls (U+009B begins an escape sequence), and what reorders text.
const STEERING = /[\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** JSON that means the same and steers no terminal on which somebody looks at it: names in it come from other people. */
function jsonLine(value: object): string {
  return JSON.stringify(value).replaceAll(
    STEERING,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
