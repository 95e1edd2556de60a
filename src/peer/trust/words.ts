import { sha256 } from '../../bittorrent/merkle.ts';
import { type DeviceId, deviceIdBytes } from '../../common/ids.ts';

/** 256 short words that are hard to mistake for one another when spoken. Never change them: people compare them. */
const WORDS = `
  acid acorn actor agent album alley amber anchor angle ankle apple apron arena arrow ash atlas attic badge bagel
  bamboo banjo barn basil basket beach beacon beaver belt bench berry bird bison blanket blossom boat bonus book
  boot bottle branch bread brick bridge broom brush bucket bugle butter button cabin cable cactus camel camera
  candle canoe canyon carpet cargo carrot castle cedar cello chalk cherry chess chimney cider circus citrus clay
  cliff clock cloud clover cobra coconut comet copper coral cotton cougar crab crane crater crayon cricket crown
  crystal cube cup curtain daisy deer delta desert diamond dinner dolphin domino donkey door dragon drum duck
  eagle easel echo egg elbow ember engine falcon feather fennel fern ferry fiddle finch flag flute forest fossil
  fox frost galaxy garden garlic gecko ginger giraffe glacier globe goat grape guitar hammer harbor hazel helmet
  heron hill honey horse igloo indigo island ivory jacket jaguar jasmine jelly jungle kayak kettle kitten kiwi
  koala ladder lagoon lake lamp lantern lemon lily lizard lobster lotus magnet mango maple marble meadow melon
  meteor mint mirror monkey moon moss motor mountain mug nectar needle nest nickel noodle nutmeg oak oasis ocean
  olive onion opal orange orbit orchid otter owl oyster paddle palm panda paper parrot peach pebble pelican pencil
  penguin pepper piano pigeon pillow pine planet plum pocket pony poppy prism pumpkin puzzle quartz quill rabbit
  radar raft rainbow raven ribbon river robin rocket rose ruby saddle salmon sand satin silver spider spoon
  squirrel sugar tiger tomato tower tulip turtle violin walnut window wolf zebra
`
  .trim()
  .split(/\s+/);

const COUNT = 4;

/** Four words to compare aloud. They guard against mix-ups and are no proof: 32 bits. */
export function wordsFor(device: DeviceId): string[] {
  const digest = sha256(Buffer.concat([Buffer.from('peerwire words v1'), deviceIdBytes(device)]));
  return [...digest.subarray(0, COUNT)].map((byte) => WORDS[byte] ?? '');
}
