// Runs scripts on a real TinyBase store. A line of JSON in, an array of operations; a line out, `{trace, rollback}`.
//
// The trace has, for each step, what came of it, the calls of listeners in order, and what the store holds, in the order
// in which it is iterated; `tests/differential/ours.rs` makes the same of ours. Where the two differ on purpose, a comment
// here has the number of the difference in `tests/differential/DIFFERENCES.md`.
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

const own = (object, key) => (object !== undefined && Object.hasOwn(object, key) ? object[key] : undefined);

const pairs = (object, map) =>
  Object.entries(object)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, thing]) => [key, map(thing)]);

// Every object as pairs in the order of keys.
const sorted = (thing) =>
  Array.isArray(thing) ? thing.map(sorted) : isThing(thing) ? pairs(thing, sorted) : thing;

// Changes, each object of them as pairs; null is what was deleted.
const shownChanges = ([tables, values]) => {
  const orNull = (map) => (thing) => (thing === undefined ? null : map(thing));
  const cells = (cells) => pairs(cells, orNull(JSON.stringify));
  const rows = (rows) => pairs(rows, orNull(cells));
  return [pairs(tables, orNull(rows)), cells(values)];
};

// Whether our reader takes a text: it refuses what is not of the right shape (D11, D12), where TinyBase takes what it can.
const isShaped = (thing, levels) =>
  levels == 0 || (isPlain(thing) && Object.values(thing).every((inside) => isShaped(inside, levels - 1)));

// Whether JavaScript's < puts cells into an order: not where numbers meet texts, or objects (D15).
const isOrdered = (cells) =>
  cells.every((cell) => typeof cell == 'string') ||
  cells.every((cell) => cell === null || typeof cell == 'number' || typeof cell == 'boolean');

const isRefused = (op, json) => {
  let parsed;
  try {
    parsed = JSON.parse(json);
  } catch {
    return true;
  }
  return op == 'setValuesJson'
    ? !isShaped(parsed, 1)
    : op == 'setTablesJson' || isPlain(parsed)
      ? !isShaped(parsed, 3)
      : !(Array.isArray(parsed) && parsed.length == 2 && isShaped(parsed[0], 3) && isShaped(parsed[1], 1));
};

const inOrderOfIds = ([tables, values, _json, ...schemas]) => {
  const sort = (pairs, levels) =>
    pairs
      .map(([id, inside, ...more]) => [id, levels > 1 ? sort(inside, levels - 1) : inside, ...more])
      .sort(([a], [b]) => (a < b ? -1 : 1));
  return [sort(tables, 3), sort(values, 1), null, ...schemas];
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
        // The order differs (D14).
        store.getTableCellIds(t).sort(),
      ]),
      store.getValueIds().map((v) => [v, JSON.stringify(values[v])]),
      store.getJson(),
      JSON.stringify(sorted(JSON.parse(store.getTablesSchemaJson()))),
      JSON.stringify(sorted(JSON.parse(store.getValuesSchemaJson()))),
    ];
  };

  const told = (result, content = show()) => {
    trace.push([result, calls, content]);
    calls = [];
  };

  const write = (op, args) => {
    switch (op) {
      case 'addRow': {
        const id = store.addRow(...args);
        return id === undefined ? 'refused' : ['added', id];
      }
      case 'setTablesSchema':
        // A schema of which nothing is left is an error, and no transaction (D19).
        if (!createStore().setTablesSchema(...args).hasTablesSchema()) {
          return 'refused';
        }
        store.setTablesSchema(...args);
        return null;
      case 'setValuesSchema':
        if (!createStore().setValuesSchema(...args).hasValuesSchema()) {
          return 'refused';
        }
        store.setValuesSchema(...args);
        return null;
      case 'sortedRowIds': {
        const [t, c, descending, offset, limit] = args;
        return c === null || isOrdered(store.getRowIds(t).map((r) => store.getCell(t, r, c) ?? null))
          ? store.getSortedRowIds(t, c ?? undefined, descending, offset, limit ?? undefined)
          : 'no order';
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
    // One that was set and set back is none (D23).
    return isChanged && change[0] !== change[1] ? change : null;
  };
  const ids = (getIdChanges) => pairs(getIdChanges(), (change) => change);
  // TinyBase takes its own default for invalid, where it is an object or array: it tells so, and sets it (D22).
  const offered = (cells) =>
    cells.filter((cell) => typeof cell != 'string' || !cell.startsWith(ENCODED)).map(text);
  const transaction = (isTakenBack) => {
    const log = store.getTransactionLog();
    if (isTakenBack) {
      // TinyBase's rollback may leave something, but is not to (D6).
      for (const n of [2, 4, 6, 7, 8, 9]) {
        log[n] = {};
      }
      log[0] = log[1] = false;
      [log[3], log[5]] = offeredBefore;
      if (hasThrown) {
        // Nor is it told what could not be taken (D25).
        log[3] = log[5] = {};
      }
    }
    const cells = (cells) => pairs(cells, (change) => change.map((cell) => (cell === undefined ? null : JSON.stringify(cell))));
    const nested = (map) => (object) => pairs(object, map);
    return [
      isTakenBack ? [[], []] : shownChanges(internals[GET_ENCODED_CHANGES]()),
      [
        pairs(log[2], nested(cells)),
        cells(log[4]),
        pairs(log[6], (change) => change),
        pairs(log[7], nested((change) => change)),
        pairs(log[8], nested(nested((change) => change))),
        pairs(log[9], (change) => change),
        log[0],
        log[1],
        pairs(log[3], nested(nested(offered))).flatMap(([t, rows]) =>
          rows.flatMap(([r, row]) => row.map(([c, cells]) => [t, r, c, cells])),
        ).filter(([, , , cells]) => cells.length > 0),
        pairs(log[5], offered).filter(([, values]) => values.length > 0),
      ],
    ];
  };

  // What a mutator may look up is as of when its group's turn came (D24).
  let isMutator = false;
  const cellChange = (getCellChange) => (isMutator ? null : changed(getCellChange('a', 'a', 'a')));
  const valueChange = (getValueChange) => (isMutator ? null : changed(getValueChange('a')));
  const orNull = (id) => id ?? null;
  const kinds = {
    Cell: (t, r, c, now, old, change) => [t, r, c, text(now), text(old), cellChange(change)],
    HasCell: (t, r, c, has) => [t, r, c, has],
    CellIds: (t, r, change) => [t, r, ids(change)],
    Row: (t, r, change) => [t, r, cellChange(change)],
    HasRow: (t, r, has) => [t, r, has],
    RowIds: (t, change) => [t, ids(change)],
    SortedRowIds: (t, _cellId, _descending, _offset, _limit, ids) => [t, ids],
    RowCount: (t, count) => [t, count],
    Table: (t, change) => [t, cellChange(change)],
    HasTable: (t, has) => [t, has],
    TableIds: (change) => [ids(change)],
    TableCellIds: (t, change) => [t, ids(change)],
    HasTableCell: (t, c, has) => [t, c, has],
    Tables: (change) => [cellChange(change)],
    HasTables: (has) => [has],
    InvalidCell: (t, r, c, cells) => [orNull(t), orNull(r), orNull(c), offered(cells)],
    Value: (v, now, old, change) => [v, text(now), text(old), valueChange(change)],
    HasValue: (v, has) => [v, has],
    ValueIds: (change) => [ids(change)],
    Values: (change) => [valueChange(change)],
    HasValues: (has) => [has],
    InvalidValue: (v, values) => [orNull(v), offered(values)],
    StartTransaction: () => [transaction(false)],
    WillFinishTransaction: () => [transaction(isTakenBack)],
    DidFinishTransaction: () => [transaction(isTakenBack || hasThrown)],
  };

  // Whether doRollback has taken the open transaction back, and whether a listener has failed in it.
  let isTakenBack = false;
  let hasThrown = false;
  // What could not be taken before: in the course of the rollback that may become more (D6).
  let offeredBefore = [{}, {}];
  const listen = ({kind, ids, role, does}) => {
    const number = listeners.length;
    const listener = (_store, ...args) => {
      const isOfInvalid = kind == 'InvalidCell' || kind == 'InvalidValue';
      if (isOfInvalid && isTakenBack) {
        const [cells, values] = offeredBefore;
        const [t, r, c] = args;
        args[args.length - 1] = (kind == 'InvalidCell' ? own(own(own(cells, t), r), c) : own(values, t)) ?? [];
      }
      if (muted || (isOfInvalid && offered(args.at(-1)).length == 0)) {
        return;
      }
      isMutator = role == 'mutator';
      calls.push([number, ...kinds[kind](...args)]);
      if (kind == 'WillFinishTransaction' && isTakenBack) {
        return;
      }
      if (does == 'fail') {
        hasThrown = true;
        throw new Failed();
      }
      for (const op of does.write ?? []) {
        write(...Object.entries(op)[0]);
      }
    };
    listeners.push(
      kind == 'SortedRowIds'
        ? store.addSortedRowIdsListener({tableId: ids[0]}, listener, role == 'mutator')
        : store[`add${kind}Listener`](...ids, listener, role == 'mutator'),
    );
  };

  const perform = (op, args) => {
    switch (op) {
      case 'begin':
        return inTransaction(args[0]);
      case 'setTablesSchema':
        return depth > 0 && store.hasTables() ? 'not now' : write(op, args);
      case 'setValuesSchema':
        return depth > 0 && store.hasValues() ? 'not now' : write(op, args);
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
  const inTransaction = (begin) => {
    depth++;
    let end = 'commit';
    let threw = false;
    const body = () => {
      told('begun');
      while (next < ops.length) {
        const [[op, args]] = Object.entries(ops[next++]);
        if (op == 'end') {
          [end] = args;
          return;
        }
        step(op, args);
      }
    };
    const doRollback = () => {
      isTakenBack = end == 'doRollback';
      const log = store.getTransactionLog();
      offeredBefore = structuredClone([log[3], log[5]]);
      return isTakenBack;
    };
    try {
      if (begin == 'call') {
        store.transaction(() => {
          body();
          if (end == 'fail') {
            throw new Failed();
          }
        }, doRollback);
      } else {
        store.startTransaction();
        body();
        store.finishTransaction(doRollback);
      }
    } catch (error) {
      if (!(error instanceof Failed)) {
        throw error;
      }
      failed = threw = true;
    } finally {
      depth--;
    }
    return threw || (depth == 0 && (failed || end == 'doRollback')) ? 'undone' : 'kept';
  };

  const step = (op, args) => {
    if (depth > 0) {
      told(perform(op, args));
      return;
    }
    const before = show();
    let result = 'undone';
    failed = isTakenBack = hasThrown = false;
    try {
      result = perform(op, args);
    } catch (error) {
      if (!(error instanceof Failed)) {
        throw error;
      }
    }
    if (hasThrown) {
      // setTablesJson and setValuesJson keep it to themselves (D26).
      result = 'undone';
    }
    if (result != 'undone') {
      if (op == 'setTablesSchema' ? before[0].length > 0 : op == 'setValuesSchema' && before[1].length > 0) {
        // As an object of JavaScript: in an order that differs (D13).
        const anew = inOrderOfIds(show());
        told(result, anew);
        rebuild(anew);
      } else {
        told(result);
      }
      return;
    }
    // TinyBase's rollback does not restore order, nor always objects (D6): what is expected is what was.
    wrongRollbacks += JSON.stringify(show()) != JSON.stringify(before);
    told(result, before);
    rebuild(before);
  };

  const rebuild = ([tables, values]) => {
    muted = true;
    isTakenBack = hasThrown = false;
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
