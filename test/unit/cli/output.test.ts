import assert from 'node:assert/strict';
import { Output } from '../../../src/cli/output.ts';

describe('output', () => {
  const hostile = { message: 'a\u001b[31mb\u009b2Jc\u202ed\u2028e\u007ff\ufeffg\nh', name: 'Zoë 👩‍💻' };

  function written(json: boolean, act: (output: Output) => void): string {
    let text = '';
    const stream = {
      write: (chunk: string) => {
        text += chunk;
      },
    };
    act(new Output({ json, stdout: stream, stderr: stream }));
    return text;
  }

  it('as JSON means the same, and steers no terminal', () => {
    for (const act of [
      (output: Output) => output.result(hostile, ''),
      (output: Output) => output.results([hostile], ''),
      (output: Output) => output.line(hostile),
      (output: Output) => output.progress(hostile),
    ]) {
      const line = written(true, act);
      assert.deepEqual(JSON.parse(line), hostile);
      assert.match(line, /^[^\p{Cc}\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+\n$/u);
    }
  });

  it('for people says what it must not do as something else', () => {
    const line = written(false, (output) => output.message(hostile.message));
    assert.match(line, /^[^\p{Cc}\u2028-\u202e\ufeff]+\n$/u);
  });
});
