// Runs scripts on a real TinyBase store. A line of JSON in, an array of operations; a line out, `{trace, rollback}`.
//
// The trace has, for each step, what came of it, the calls of listeners in order, and what the store holds, in the order
// in which it is iterated; `tests/differential/ours.rs` makes the same of ours. Where the two differ on purpose
// (`tests/differential/DIFFERENCES.md`), the number behind D says on which line of this file that is seen to.
import {createInterface} from 'node:readline';
import {createStore} from 'tinybase/store';

const DELETED = '\uFFFC';
const ENCODED = '\uFFFD';
const GET_ENCODED_CONTENT = 7;
const GET_ENCODED_CHANGES = 8;
const APPLY_ENCODED_CHANGES = 10;

class Failed extends Error {}

const isThing = (thing) => typeof thing == 'object' && thing !== null;
const isPlain = (thing) => isThing(thing) && !Array.isArray(thing);
const encode = (cell) => (isThing(cell) ? ENCODED + JSON.stringify(cell) : cell);
const text = (cell) => (cell === undefined ? null : JSON.stringify(encode(cell)));

// U+FFFC, at the levels of changes, is undefined.
const undeleted = (thing, levels) =>
  thing === DELETED
    ? undefined
    : levels > 0
      ? mapped(thing, (inside) => undeleted(inside, levels - 1))
      : thing;

const mapped = (object, map) => {
  const result = Object.create(null);
  for (const [key, thing] of Object.entries(object)) {
    result[key] = map(thing);
  }
  return result;
};

const pairs = (object, map) =>
  Object.entries(object)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, thing]) => [key, map(thing)]);

const deletedAsText = (_key, thing) => (thing === undefined ? DELETED : thing);

// Whether our reader takes a text: it refuses what is not of the right shape (D2), where TinyBase takes what it can.
const isShaped = (thing, levels) =>
  levels == 0 || (isPlain(thing) && Object.values(thing).every((inside) => isShaped(inside, levels - 1)));

const isRefused = (op, json) => {
  try {
    const parsed = JSON.parse(json);
    return op == 'setValuesJson'
      ? !isShaped(parsed, 1)
      : op == 'setTablesJson' || isPlain(parsed)
        ? !isShaped(parsed, 3)
        : !(Array.isArray(parsed) && parsed.length == 2 && isShaped(parsed[0], 3) && isShaped(parsed[1], 1));
  } catch {
    return true;
  }
};

const run = (ops) => {
  const store = createStore();
  const internals = store._;
  const trace = [];
  const listeners = [];
  let calls = [];
  let muted = false;
  let next = 0;
  let depth = 0;
  let wrongRollbacks = 0;

  const show = () => {
    const [tables, values] = internals[GET_ENCODED_CONTENT]();
    return [
      store.getTableIds().map((t) => [
        t,
        store.getRowIds(t).map((r) => [
          r,
          store.getCellIds(t, r).map((c) => [c, JSON.stringify(tables[t][r][c])]),
        ]),
        store.getRowCount(t),
        store.getTableCellIds(t).sort(),
      ]),
      store.getValueIds().map((v) => [v, JSON.stringify(values[v])]),
      store.getJson(),
    ];
  };

  const told = (result, content = show()) => {
    trace.push([result, calls, content]);
    calls = [];
  };

  const write = (op, args) => {
    switch (op) {
      case 'addRow': {
        // A row that cannot be added is an error, and no transaction (D3).
        if (Object.keys(args[1]).length == 0) {
          return 'refused';
        }
        return ['added', store.addRow(...args)];
      }
      case 'applyChanges': {
        const [tables, values, one] = args[0];
        store.applyChanges([undeleted(tables, 3), undeleted(values, 1), one]);
        return null;
      }
      case 'setJson':
      case 'setTablesJson':
      case 'setValuesJson':
        if (isRefused(op, args[0])) {
          return 'refused';
        }
        store[op](...args);
        return null;
      default:
        store[op](...(args ?? []));
        return null;
    }
  };

  const changed = ([isChanged, old, now] = [false]) => {
    const change = [text(old), text(now)];
    // One that was set and set back is none (D4).
    return isChanged && change[0] !== change[1] ? change : null;
  };
  const ids = (getIdChanges) => pairs(getIdChanges(), (change) => change);
  const transaction = () => {
    const log = store.getTransactionLog();
    const cells = (cells) => pairs(cells, (change) => change.map((cell) => (cell === undefined ? null : JSON.stringify(cell))));
    const nested = (map) => (object) => pairs(object, map);
    return [
      JSON.stringify(internals[GET_ENCODED_CHANGES](), deletedAsText),
      [
        pairs(log[2], nested(cells)),
        cells(log[4]),
        pairs(log[6], (change) => change),
        pairs(log[7], nested((change) => change)),
        pairs(log[8], nested(nested((change) => change))),
        pairs(log[9], (change) => change),
      ],
    ];
  };

  const cellChange = (getCellChange) => changed(getCellChange('a', 'a', 'a'));
  const kinds = {
    Cell: (t, r, c, now, old, change) => [t, r, c, text(now), text(old), cellChange(change)],
    CellIds: (t, r, change) => [t, r, ids(change)],
    Row: (t, r, change) => [t, r, cellChange(change)],
    RowIds: (t, change) => [t, ids(change)],
    Table: (t, change) => [t, cellChange(change)],
    TableIds: (change) => [ids(change)],
    Tables: (change) => [cellChange(change)],
    Value: (v, now, old, change) => [v, text(now), text(old), changed(change('a'))],
    ValueIds: (change) => [ids(change)],
    Values: (change) => [changed(change('a'))],
    StartTransaction: () => [null],
    WillFinishTransaction: () => [transaction()],
    DidFinishTransaction: () => [transaction()],
  };

  const listen = ({kind, ids, does}) => {
    const number = listeners.length;
    const listener = (_store, ...args) => {
      if (muted) {
        return;
      }
      calls.push([number, ...kinds[kind](...args)]);
      if (does == 'fail') {
        throw new Failed();
      }
      for (const op of does.write ?? []) {
        write(...Object.entries(op)[0]);
      }
    };
    listeners.push(store[`add${kind}Listener`](...ids, listener));
  };

  const perform = (op, args) => {
    switch (op) {
      case 'begin':
        return inTransaction();
      case 'end':
        return 'nothing';
      case 'listen':
        listen(args);
        return null;
      case 'unlisten': {
        const number = args[0] % Math.max(listeners.length, 1);
        if (listeners[number] !== undefined) {
          store.delListener(listeners[number]);
          listeners[number] = null;
        }
        return null;
      }
      default:
        return write(op, args);
    }
  };

  // Whether any part of the open transaction failed, and so will all of it.
  let failed = false;
  const inTransaction = () => {
    depth++;
    let threw = false;
    try {
      store.transaction(() => {
        told('begun');
        while (next < ops.length) {
          const [[op, args]] = Object.entries(ops[next++]);
          if (op == 'end') {
            if (args[0] == 'fail') {
              throw new Failed();
            }
            return;
          }
          step(op, args);
        }
      });
    } catch (error) {
      if (!(error instanceof Failed)) {
        throw error;
      }
      failed = threw = true;
    } finally {
      depth--;
    }
    return threw || (depth == 0 && failed) ? 'undone' : 'kept';
  };

  const step = (op, args) => {
    if (depth > 0) {
      told(perform(op, args));
      return;
    }
    const before = show();
    let result = 'undone';
    failed = false;
    try {
      result = perform(op, args);
    } catch (error) {
      if (!(error instanceof Failed)) {
        throw error;
      }
    }
    if (result != 'undone') {
      told(result);
      return;
    }
    // TinyBase's rollback does not restore order, nor always objects (D1): what is expected is what was.
    wrongRollbacks += JSON.stringify(show()) != JSON.stringify(before);
    told(result, before);
    rebuild(before);
  };

  const rebuild = ([tables, values]) => {
    muted = true;
    store.delTables();
    store.delValues();
    for (const [t, rows] of tables) {
      for (const [r, cells] of rows) {
        for (const [c, cell] of cells) {
          internals[APPLY_ENCODED_CHANGES]([{[t]: {[r]: {[c]: JSON.parse(cell)}}}, {}, 1]);
        }
      }
    }
    for (const [v, value] of values) {
      internals[APPLY_ENCODED_CHANGES]([{}, {[v]: JSON.parse(value)}, 1]);
    }
    muted = false;
    told('rebuilt');
  };

  while (next < ops.length) {
    step(...Object.entries(ops[next++])[0]);
  }
  return {trace, wrongRollbacks};
};

for await (const line of createInterface({input: process.stdin})) {
  console.log(JSON.stringify(run(JSON.parse(line))));
}
