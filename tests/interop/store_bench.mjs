// Measures TinyBase's store, for `examples/store_vs_tinybase`: for each line of standard input, the name of a case, runs
// it once and answers with one line, what one unit of it took. Node runs this with --expose-gc.

import {createInterface} from 'node:readline';
import {createStore} from 'tinybase';

const TABLE = 'items';

const item = (i) => ({
  title: `Item ${i}`,
  qty: i % 1000,
  price: ((i * 37) % 100000) / 100,
  done: i % 3 == 0,
  note: 'n' + Number((BigInt(i) * 2654435761n) % 4294967296n).toString(16).padStart(8, '0'),
});

const ids = (count) => Array.from({length: count}, (_, i) => `r${i}`);
const content = (count) => [{[TABLE]: Object.fromEntries(ids(count).map((id, i) => [id, item(i)]))}, {}];
const filled = (count) => createStore().setContent(content(count));

// Milliseconds for `count` times `run`, by default once.
const timed = (run) => {
  globalThis.gc?.();
  const start = performance.now();
  run();
  return performance.now() - start;
};

// Microseconds for each of 100,000 transactions of one cell.
const transactions = (write, prepare = () => {}) => {
  const store = filled(1000);
  const rows = ids(1000);
  prepare(store);
  const ms = timed(() => {
    for (let i = 0; i < 100_000; i++) {
      write(store, rows[i % 1000], 1000 + i);
    }
  });
  return ms / 100;
};

const setQty = (store, row, qty) => store.setCell(TABLE, row, 'qty', qty);

let heard = 0;

const cases = {
  set_row: () => {
    const rows = ids(100_000).map((id, i) => [id, item(i)]);
    const store = createStore();
    return timed(() => store.transaction(() => rows.forEach(([id, row]) => store.setRow(TABLE, id, row))));
  },
  set_cell: () => transactions(setQty),
  set_cell_100_listeners: () =>
    transactions(setQty, (store) => {
      for (let i = 0; i < 100; i++) {
        store.addCellListener(null, null, null, () => heard++);
      }
    }),
  set_cell_changes_read: () =>
    transactions(setQty, (store) =>
      store.addDidFinishTransactionListener(() => (heard += Object.keys(store.getTransactionChanges()[0]).length)),
    ),
  content: () => {
    const store = filled(100_000);
    return timed(() => (heard += store.getContent().length));
  },
  set_content: () => {
    const all = content(100_000);
    const store = createStore();
    return timed(() => store.setContent(all));
  },
  json: () => {
    const store = filled(100_000);
    return timed(() => (heard += store.getJson().length));
  },
  set_json: () => {
    const json = filled(100_000).getJson();
    const store = createStore();
    return timed(() => store.setJson(json));
  },
  apply_1: () => transactions((store, row, qty) => store.applyChanges([{[TABLE]: {[row]: {qty}}}, {}, 1])),
  apply_1000: () => {
    const store = filled(100_000);
    const messages = Array.from({length: 100}, (_, n) =>
      JSON.stringify([
        {[TABLE]: Object.fromEntries(Array.from({length: 1000}, (_, i) => [`r${i * 97}`, {qty: 1000 + n * 1000 + i}]))},
        {},
        1,
      ]),
    );
    return timed(() => messages.forEach((message) => store.applyChanges(JSON.parse(message)))) / messages.length;
  },
  memory: () => {
    const rows = 200_000;
    const store = createStore();
    globalThis.gc();
    const before = process.memoryUsage.rss();
    store.transaction(() => {
      for (let i = 0; i < rows; i++) {
        store.setRow(TABLE, `r${i}`, item(i));
      }
    });
    globalThis.gc();
    return (process.memoryUsage.rss() - before) / (rows * 5);
  },
};

for await (const line of createInterface({input: process.stdin})) {
  console.log(cases[line]());
}
