// What a JavaScript peer ends with, for each line of standard input: a JSON array of a reader's name and a text.
// Answers with one line each: the JSON of what the peer writes then, as a JSON string, or null if it refuses the text.
// Needs nothing but Node.

import {createInterface} from 'node:readline';

const DELETED = '\uFFFC';
const ENCODED = '\uFFFD';
const MAX_DEPTH = 128;
const LEFT_OUT = Symbol('left out');

class Refused extends Error {}

const isObject = (thing) => typeof thing == 'object' && thing !== null && !Array.isArray(thing);

const depth = (thing) =>
  typeof thing == 'object' && thing !== null ? 1 + Math.max(0, ...Object.values(thing).map(depth)) : 0;

const parsesToThing = (text) => {
  try {
    const thing = JSON.parse(text);
    return typeof thing == 'object' && thing !== null;
  } catch {
    return false;
  }
};

// With no prototype, so that __proto__ is a key like any other.
const mapObject = (object, map) => {
  if (!isObject(object)) {
    throw new Refused();
  }
  const mapped = Object.create(null);
  for (const [key, thing] of Object.entries(object)) {
    const result = map(thing);
    if (result !== LEFT_OUT && key.isWellFormed()) {
      mapped[key] = result;
    }
  }
  return mapped;
};

// A socket's receiver takes U+FFFC inside an unencoded object or array for undefined.
const withoutMarks = (text) =>
  JSON.stringify(JSON.parse(text, (_key, thing) => (thing === DELETED ? undefined : thing)));

const leaf = (socket) => (thing) => {
  if (typeof thing == 'object' && thing !== null) {
    const text = JSON.stringify(thing);
    return depth(thing) > MAX_DEPTH ? LEFT_OUT : ENCODED + (socket ? withoutMarks(text) : text);
  }
  if (typeof thing == 'number') {
    return Number.isFinite(thing) ? thing : LEFT_OUT;
  }
  if (typeof thing != 'string') {
    return thing;
  }
  if (!thing.isWellFormed() || (thing === DELETED && !socket)) {
    return LEFT_OUT;
  }
  return thing.startsWith(ENCODED) && !parsesToThing(thing.slice(1)) ? LEFT_OUT : thing;
};

const things = (thing, levels, socket) => {
  if (levels == 0) {
    return leaf(socket)(thing);
  }
  if (socket && thing === DELETED) {
    return thing;
  }
  return mapObject(thing, (inside) => things(inside, levels - 1, socket));
};

const halves = (parsed, length, socket) => {
  if (!Array.isArray(parsed) || parsed.length != length || !isObject(parsed[0]) || !isObject(parsed[1])) {
    throw new Refused();
  }
  return [things(parsed[0], 3, socket), things(parsed[1], 1, socket)];
};

const readers = {
  content: (parsed) => halves(parsed, 2, false),
  changes: (parsed) => {
    const read = halves(parsed, 3, true);
    if (!(parsed[2] == 1)) {
      throw new Refused();
    }
    return [...read, 1];
  },
};

for await (const line of createInterface({input: process.stdin})) {
  const [reader, text] = JSON.parse(line);
  let written = null;
  try {
    written = JSON.stringify(readers[reader](JSON.parse(text)));
  } catch (error) {
    if (!(error instanceof Refused || error instanceof SyntaxError)) {
      throw error;
    }
  }
  console.log(JSON.stringify(written));
}
