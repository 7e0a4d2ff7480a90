// TinyBase's PartyKit server, the class alone: rooms in memory behind Node's http and ws, without PartyKit and workerd. For
// `examples/load`, which measures it.
//
// Prints one line, `{"port": ...}`, and ends when standard input does.
import {createServer} from 'node:http';
import {TinyBasePartyKitServer} from 'tinybase/persisters/persister-partykit-server';
import {WebSocketServer} from 'ws';

// What the class uses of a Durable Object's storage.
class Storage extends Map {
  async get(key) {
    return super.get(key);
  }
  async put(entries) {
    for (const key in entries) {
      this.set(key, entries[key]);
    }
  }
  async delete(keys) {
    keys.forEach((key) => super.delete(key));
  }
  async list({prefix}) {
    return new Map([...this].filter(([key]) => key.startsWith(prefix)));
  }
  async transaction(actions) {
    return await actions(this);
  }
}

class Room {
  storage = new Storage();
  connections = new Map();
  server = new TinyBasePartyKitServer(this);

  broadcast(message, without = []) {
    this.connections.forEach((connection, id) => without.includes(id) || connection.send(message));
  }

  join(id, connection) {
    connection.id = id;
    this.connections.set(id, connection);
    connection.on('message', (message) => this.server.onMessage(message.toString(), connection));
    connection.on('close', () => this.connections.delete(id));
  }
}

const rooms = new Map();
const room = (url) => {
  const [, parties, party, name] = url.pathname.split('/');
  const id = parties == 'parties' && name ? `${party}/${name}` : undefined;
  if (id != undefined && !rooms.has(id)) {
    rooms.set(id, new Room());
  }
  return rooms.get(id);
};
const urlOf = (request) => new URL(request.url, 'http://127.0.0.1');

const http = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) {
    chunks.push(chunk);
  }
  const {method} = request;
  const body = chunks.length ? Buffer.concat(chunks) : undefined;
  const answer = await room(urlOf(request))?.server.onRequest(new Request(urlOf(request), {method, body}));
  response.writeHead(answer?.status ?? 404, Object.fromEntries(answer?.headers ?? []));
  response.end(answer?.body ? Buffer.from(await answer.arrayBuffer()) : undefined);
});

const sockets = new WebSocketServer({noServer: true});
http.on('upgrade', (request, socket, head) => {
  socket.setNoDelay(true);
  const url = urlOf(request);
  sockets.handleUpgrade(request, socket, head, (connection) =>
    room(url)?.join(url.searchParams.get('_pk'), connection),
  );
});

http.listen(0, '127.0.0.1', () => console.log(JSON.stringify({port: http.address().port})));
process.stdin.on('end', () => process.exit(0)).resume();
