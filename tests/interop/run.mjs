// Runs PartyKit's development server with the parties of `party/`, on a free port and with fresh storage, until this
// process's standard input ends, however the one who holds the other end of it came to die. It leaves nothing behind: the
// server, its runtime and its bundler are one process group, and the storage is a temporary directory.
//
// Prints one line to standard output, `{"port": ...}`, and everything that the server says to standard error.
import {spawn} from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import {fileURLToPath} from 'node:url';

const at = (relative) => fileURLToPath(new URL(relative, import.meta.url));
const storage = fs.mkdtempSync(path.join(os.tmpdir(), 'roommate-partykit-'));

const server = spawn(
  process.execPath,
  [
    '--import',
    new URL('loopback.mjs', import.meta.url).href,
    at('node_modules/partykit/dist/bin.mjs'),
    'dev',
    '--port',
    '0',
    '--persist',
    storage,
    '--disable-request-cf-fetch',
    '--no-hotkeys',
  ],
  {
    cwd: at('party'),
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {...process.env, PWD: at('party'), NO_UPDATE_NOTIFIER: '1', FORCE_COLOR: '0'},
  },
);

const end = (code) => {
  try {
    process.kill(-server.pid, 'SIGKILL');
  } catch {
    // They are all gone already.
  }
  fs.rmSync(storage, {recursive: true, force: true, maxRetries: 5});
  process.exit(code);
};
server.on('exit', (code) => end(code ?? 1));
process.stdin.on('end', () => end(0)).resume();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => end(0));
}

let said = '';
let announced = false;
server.stdout.setEncoding('utf8').on('data', (chunk) => {
  process.stderr.write(chunk);
  said = announced ? '' : said + chunk;
  const port = said.match(/Ready on https?:\/\/[^:]+:(\d+)\s/)?.[1];
  if (port) {
    announced = true;
    process.stdout.write(JSON.stringify({port: Number(port)}) + '\n');
  }
});
