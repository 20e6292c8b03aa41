import { parseArgs } from 'node:util';
import { deployedFunctions } from '#functions/index.ts';
import { serverEnvironment } from '#lib/config/environment.ts';
import { readToken } from '#lib/host/caller-token.ts';
import { serveFunctions } from '#lib/host/http-server.ts';
import { Logger } from '#lib/log/logger.ts';
import { Redactor } from '#lib/log/redactor.ts';

const USAGE = 'Usage: serve [--port PORT] [--host ADDRESS] [--token-file FILE]';
const DEFAULT_PORT = '8080';

const OLDEST_NODE = 22;

async function main(): Promise<void> {
  if (Number.parseInt(process.versions.node, 10) < OLDEST_NODE) {
    throw new Error(`Node.js ${OLDEST_NODE} or newer is needed, this is ${process.versions.node}`);
  }
  const { port, host, tokenPath, environmentToken } = settings();
  const token = await readToken({ path: tokenPath, fromEnvironment: environmentToken });
  const log = new Logger(writeLine, { redactor: new Redactor([token]) });
  const server = await serveFunctions({ functions: deployedFunctions, token, port, host, log });
  log.info(`serving on port ${server.port}`);

  const stop = async () => {
    log.info('stopping as soon as the running calls have been answered');
    await server.close();
    process.exit(0);
  };
  process.once('SIGTERM', stop).once('SIGINT', stop);
}

function settings() {
  const { values } = parsedArguments();
  const environment = serverEnvironment();
  const port = Number(values.port ?? (environment.port || DEFAULT_PORT));
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new Error('The port must be an integer from 0 to 65535');
  }
  return { port, host: values.host, tokenPath: values['token-file'], environmentToken: environment.token };
}

function parsedArguments() {
  try {
    return parseArgs({
      options: { port: { type: 'string' }, host: { type: 'string' }, 'token-file': { type: 'string' } },
    });
  } catch (cause) {
    throw new Error(USAGE, { cause });
  }
}

function writeLine(line: string): void {
  process.stderr.write(`${line}\n`);
}

main().catch((error: Error) => {
  writeLine(error.message);
  process.exit(1);
});
