// Preloaded into `partykit dev`, which listens on every interface and has no option for it: everything that it listens
// with, and the runtime that it starts, listens on the loopback interface only.
import childProcess from 'node:child_process';
import net from 'node:net';

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
