// PartyKit's development server with the parties of `party/`, on a free port of the loopback interface and with fresh
// storage, until standard input ends, however the one who holds the other end of it came to die.
//
// To be started as the leader of a process group: then the runtime and the bundler end with it, and nothing is left. Prints
// one line to standard output, `{"port": ...}`, and everything that the server says to standard error.
import childProcess from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import {fileURLToPath, pathToFileURL} from 'node:url';

const at = (relative) => fileURLToPath(new URL(relative, import.meta.url));
const storage = fs.mkdtempSync(path.join(os.tmpdir(), 'roommate-partykit-'));

process.on('exit', () => {
  fs.rmSync(storage, {recursive: true, force: true});
  try {
    process.kill(-process.pid, 'SIGKILL');
  } catch {
    // Not the leader of a group.
  }
});
process.stdin.on('end', () => process.exit(0)).resume();

// It listens on every interface, and has no option for it. Its servers are told otherwise, and so is the runtime.
const {listen} = net.Server.prototype;
net.Server.prototype.listen = function (first, ...rest) {
  if (typeof first == 'number') {
    return listen.call(this, {port: first, host: '127.0.0.1'}, ...rest.filter((arg) => typeof arg == 'function'));
  }
  return listen.call(this, first?.port == null ? first : {...first, host: '127.0.0.1'}, ...rest);
};
const {spawn} = childProcess;
childProcess.spawn = (command, args, options) =>
  spawn(
    command,
    Array.isArray(args) ? args.map((arg) => arg.replace(/^(--socket-addr=\w+)=0\.0\.0\.0:/, '$1=127.0.0.1:')) : args,
    options,
  );

const write = process.stdout.write.bind(process.stdout);
let said = '';
process.stdout.write = (chunk, ...rest) => {
  if (said !== undefined) {
    said += chunk;
    const port = said.match(/Ready on https?:\/\/[^:]+:(\d+)\s/)?.[1];
    if (port) {
      said = undefined;
      write(JSON.stringify({port: Number(port)}) + '\n');
    }
  }
  return process.stderr.write(chunk, ...rest);
};

process.chdir(at('party'));
process.env.PWD = at('party');
process.env.NO_UPDATE_NOTIFIER = '1';
process.env.FORCE_COLOR = '0';
process.argv.splice(
  2,
  Infinity,
  ...['dev', '--port', '0', '--persist', storage, '--disable-request-cf-fetch', '--no-hotkeys'],
);
await import(pathToFileURL(at('node_modules/partykit/dist/bin.mjs')).href);
