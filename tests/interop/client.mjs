// Stock TinyBase clients, driven by JSON lines on standard input, answered by JSON lines on standard output.
//
// A request is `{id, op, client, ...}`, its answer `{id, ok}` or `{id, error}`. Requests run side by side, so a wait does
// not hold up the edit that it waits for. One process holds any number of clients; it ends when its input does.
import http from 'node:http';
import {PartySocket} from 'partysocket';
import {createStore} from 'tinybase';
import {createPartyKitPersister} from 'tinybase/persisters/persister-partykit-client';
import {WebSocket} from 'ws';

// Every request on a connection of its own. One that was kept may be closed by the server just as it is used again, which a
// busy machine makes likely and a stock client does not survive.
const {fetch} = globalThis;
globalThis.fetch = (url, init) => fetch(url, {...init, headers: {...init?.headers, connection: 'close'}});

const clients = new Map();
const clientOf = (name) => clients.get(name) ?? fail(`there is no client "${name}"`);
const fail = (message) => {
  throw new Error(message);
};

// Waits until `check` returns something but undefined.
const until = async (milliseconds, check, describe) => {
  const deadline = Date.now() + milliseconds;
  for (;;) {
    const result = check();
    if (result !== undefined) {
      return result;
    }
    if (Date.now() > deadline) {
      fail(`${describe()} after ${milliseconds} ms`);
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
};

// JSON with sorted keys. Own properties only, so `__proto__` is a key like any other.
const canonical = (value) =>
  Array.isArray(value)
    ? `[${value.map(canonical).join()}]`
    : value !== null && typeof value == 'object'
      ? `{${Object.keys(value)
          .sort()
          .map((key) => JSON.stringify(key) + ':' + canonical(value[key]))
          .join()}}`
      : JSON.stringify(value);

// Waits until the other end has read what was sent, or the connection has ended.
const taken = (connection) =>
  new Promise((resolve) => {
    if (connection?.readyState != WebSocket.OPEN) {
      return setTimeout(resolve, 20);
    }
    const end = () => {
      connection.off('pong', end);
      connection.off('close', end);
      resolve();
    };
    connection.on('pong', end);
    connection.on('close', end);
    connection.ping();
  });

const describeError = (error) =>
  error instanceof Response
    ? {name: 'Response', status: error.status, bodyUsed: error.bodyUsed}
    : {name: error?.name ?? typeof error, message: String(error?.message ?? error)};

// What a method returned, as far as it is data: stores and persisters return themselves, to be chained.
const data = (result) =>
  typeof result == 'object' && result !== null && ('setTables' in result || 'getStore' in result) ? null : result;

const ops = {
  // A client as an application makes one: a store, a socket, a persister. Answers when the socket is open.
  async open({client, host, party, room, path, query, id, config, timeout = 20000, wait = true}) {
    const socket = new PartySocket({host, party, room, path, query, id, WebSocket, minReconnectionDelay: 50});
    const store = createStore();
    const errors = [];
    const frames = [];
    const revisions = {count: 0};
    store.addDidFinishTransactionListener(() => revisions.count++);
    socket.addEventListener('message', ({data}) => frames.push(String(data)));
    const persister = createPartyKitPersister(store, socket, {storeProtocol: 'http', ...config}, (error) =>
      errors.push(describeError(error)),
    );
    clients.set(client, {store, socket, persister, errors, frames, revisions});
    return wait ? await ops.opened({client, timeout}) : null;
  },

  async opened({client, timeout}) {
    const {socket} = clientOf(client);
    return await until(
      timeout,
      () => (socket.readyState == WebSocket.OPEN ? socket.id : undefined),
      () => `the socket of "${client}" is not open`,
    );
  },

  // Waits until the socket has noticed that its connection is gone.
  async closed({client, timeout}) {
    const {socket} = clientOf(client);
    return await until(
      timeout,
      () => (socket.readyState == WebSocket.OPEN ? undefined : true),
      () => `the socket of "${client}" is open`,
    );
  },

  // Any method of the client's store, persister or socket.
  async call({client, on, method, args}) {
    return data(await clientOf(client)[on][method](...args));
  },

  // Several calls of the store as one transaction.
  transaction({client, calls}) {
    const {store} = clientOf(client);
    store.transaction(() => calls.forEach(([method, ...args]) => store[method](...args)));
    return null;
  },

  // The store's own JSON, objects in their encoded form, as text.
  json: ({client}) => clientOf(client).store.getJson(),

  // Waits for the store to hold `content` (given as text).
  async until({client, content, timeout}) {
    const {store, revisions} = clientOf(client);
    const wanted = canonical(JSON.parse(content));
    let seen = -1;
    return await until(
      timeout,
      () => {
        if (seen == revisions.count) {
          return undefined;
        }
        seen = revisions.count;
        return canonical(JSON.parse(store.getJson())) == wanted ? true : undefined;
      },
      () => `"${client}" holds\n  ${store.getJson()}\nand not\n  ${content}\n`,
    );
  },

  errors: ({client}) => clientOf(client).errors,

  // The messages that the client's socket received, but for the first `from`.
  frames: ({client, from = 0}) => clientOf(client).frames.slice(from),

  // Writes as fast as the server takes it, and while there is none a little, until `stop`. Each transaction makes a row of
  // the client's own and sets a cell that others set too; all texts are different.
  async write({client, name}) {
    const it = clientOf(client);
    it.made ??= 0;
    it.writing = true;
    const write = async () => {
      while (it.writing) {
        for (let edit = 0; edit < 16; edit++) {
          const number = ++it.made;
          const text = `${name} ${number}`;
          it.store.transaction(() => {
            it.store.setCell(name, `${number}`, 'c', text);
            it.store.setCell('shared', `r${number % 3}`, `c${number % 2}`, text);
            it.store.delRow(name, `${number - 50}`);
          });
        }
        await taken(it.socket._ws);
      }
    };
    it.written = write();
    return null;
  },

  // Ends that; answers how many transactions there were.
  async stop({client}) {
    const it = clientOf(client);
    it.writing = false;
    await it.written;
    return it.made;
  },

  // Waits until `count` messages have come.
  async framesUntil({client, count, timeout}) {
    const {frames} = clientOf(client);
    return await until(
      timeout,
      () => (frames.length >= count ? frames : undefined),
      () => `"${client}" received ${JSON.stringify(frames)}, fewer than ${count} messages,`,
    );
  },

  sendBinary({client, text}) {
    clientOf(client).socket.send(Buffer.from(text));
    return null;
  },

  // A ping of the protocol, below the application's messages; answers when the pong comes. What the server sent before
  // it has arrived by then.
  async ping({client, timeout}) {
    const {socket} = clientOf(client);
    const inner = socket._ws;
    let pong;
    inner.once('pong', () => (pong = true));
    inner.ping();
    return await until(
      timeout,
      () => pong,
      () => `"${client}" got no pong`,
    );
  },

  // Ends a client: its persister and its socket.
  async close({client}) {
    const {persister, socket} = clientOf(client);
    await persister.destroy();
    socket.close();
    clients.delete(client);
    return null;
  },

  // One HTTP request, below fetch: the method, path and headers exactly as given, and all headers of the response.
  http: ({host, path, method = 'GET', headers = {}, body = ''}) =>
    new Promise((resolve, reject) => {
      const [hostname, port] = host.split(':');
      const request = http.request({hostname, port, path, method, headers, agent: false}, (response) => {
        const chunks = [];
        response.on('data', (chunk) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () =>
          resolve({status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks).toString()}),
        );
      });
      request.on('error', reject);
      request.end(body);
    }),

  // Whether a WebSocket can be opened there, and if not, the status of the refusal.
  upgrade: ({url}) =>
    new Promise((resolve) => {
      const socket = new WebSocket(url);
      socket.on('open', () => resolve({status: 101}) ?? socket.terminate());
      socket.on('unexpected-response', (_request, response) => {
        resolve({status: response.statusCode});
        response.destroy();
      });
      socket.on('error', (error) => resolve({error: error.message}));
    }),
};

const answer = (reply) => process.stdout.write(JSON.stringify(reply) + '\n');

const handle = async ({id, op, ...request}) => {
  try {
    answer({id, ok: (await (ops[op] ?? fail(`there is no operation "${op}"`))(request)) ?? null});
  } catch (error) {
    answer({id, error: describeError(error)});
  }
};

// Not readline, which takes U+2028, legal inside JSON, for the end of a line.
let rest = '';
process.stdin
  .setEncoding('utf8')
  .on('data', (chunk) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop();
    lines.forEach((line) => void handle(JSON.parse(line)));
  })
  .on('end', () => process.exit(0));
