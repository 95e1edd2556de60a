/** Announces once at the URL given, in a process of its own: what it trusts and which proxy it takes its environment says. */
import { PeerwireError } from '../../src/common/errors.ts';
import { announce } from '../../src/transport/tracker-client.ts';
import { trackerRemedy } from '../../src/transport/tracker-error.ts';

const [url = ''] = process.argv.slice(2);
try {
  const { peers } = await announce({ url, infoHash20: Buffer.alloc(20, 1), peerId20: Buffer.alloc(20, 2), port: 6881 });
  console.log(JSON.stringify({ peers }));
} catch (error) {
  if (!(error instanceof PeerwireError)) throw error;
  console.log(JSON.stringify({ code: error.code, message: error.message, remedy: trackerRemedy(error) }));
}
