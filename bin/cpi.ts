import { CpiError } from '#lib/cpi/errors.ts';
import { type CpiResponse, defect, failure } from '#lib/cpi/response.ts';
import { answer } from '#lib/invoke/answer.ts';
import { directorsConfigPath } from '#lib/invoke/config-path.ts';
import { readInput } from '#lib/invoke/read-input.ts';
import { Redactor } from '#lib/log/redactor.ts';

let isAnswered = false;
const loadFunctions = async () => (await import('#functions/index.ts')).localFunctions;

/** BOSH takes exactly one JSON document from stdout, and ignores the exit status. */
function respond(response: CpiResponse): void {
  if (!isAnswered) {
    isAnswered = true;
    process.stdout.write(`${JSON.stringify(response)}\n`, () => process.exit(0));
  }
}

async function main(): Promise<CpiResponse> {
  const args = process.argv.slice(2);
  const configPath = directorsConfigPath(args);
  if (configPath === undefined) {
    const { operate } = await import('#lib/operator/operate.ts');
    const status = await operate(args, process, loadFunctions);
    if (status === undefined) {
      throw new CpiError('Usage: cpi [--config FILE] < request.json');
    }
    process.exit(status);
  }
  return answer(await readInput(), { configPath, loadFunctions, logSink: log, stopSignal: stopSignal() });
}

/** Only from here on is there something to bring to an end. */
function stopSignal(): AbortSignal {
  const controller = new AbortController();
  process.on('SIGTERM', () => controller.abort()).on('SIGINT', () => controller.abort());
  return controller.signal;
}

/** The call goes on, even if nobody reads its log any more. */
function log(line: string): void {
  if (process.stderr.listenerCount('error') === 0) {
    process.stderr.on('error', () => {});
  }
  process.stderr.write(`${line}\n`);
}

/** What gets here is a defect, of which only the kind is told: the message may hold anything. */
function failed(error: unknown): void {
  const kind = error instanceof Error ? error.name : 'unknown error';
  respond(failure(error instanceof CpiError ? error : defect(kind), new Redactor()));
}

process.on('uncaughtException', failed);
main().then(respond, failed);
