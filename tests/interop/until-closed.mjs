// Runs a program until standard input ends, however the one who holds the other end of it came to die. The program is
// killed (SIGKILL) if anything arrives there.
// node until-closed.mjs PROGRAM [ARGUMENT...]
import {spawn} from 'node:child_process';

const [program, ...args] = process.argv.slice(2);
const child = spawn(program, args, {stdio: ['ignore', 'inherit', 'inherit']});
child.on('exit', (code) => process.exit(code ?? 1));
process.on('exit', () => child.kill());
process.stdin.on('end', () => process.exit(0)).on('data', () => child.kill('SIGKILL'));
