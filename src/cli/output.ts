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
    this.#stdout.write(this.json ? `${JSON.stringify(value)}\n` : `${text}\n`);
  }

  /** Many results; `text` is for people, and may be empty. */
  results(values: readonly object[], text: string): void {
    if (this.json) for (const value of values) this.#stdout.write(`${JSON.stringify(value)}\n`);
    else if (text !== '') this.#stdout.write(`${text}\n`);
  }

  /** A JSON line on stdout whatever the format: for `run`, which programs read. */
  line(value: object): void {
    this.#stdout.write(`${JSON.stringify(value)}\n`);
  }

  /** Progress for programs: a JSON line on stderr. */
  progress(value: object): void {
    if (this.json) this.stderr.write(`${JSON.stringify(value)}\n`);
  }

  /** A remark for people. */
  message(text: string): void {
    if (this.json) this.progress({ event: 'message', message: text });
    else this.stderr.write(`${safeText(text)}\n`);
  }
}
